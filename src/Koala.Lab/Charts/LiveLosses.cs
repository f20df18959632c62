using Koala.Lab.Training;

namespace Koala.Lab.Charts;

/// <summary>
/// A live chart of training, by default of its losses: it collects the steps and passes on a new figure from time to time.
/// </summary>
/// <remarks>
/// <code>
/// var shown = display(Chart.TrainingLosses([]));
/// using (var live = new LiveLosses(figure => shown.Update(figure)))
///     TrainingRun.Start(folder, target, data, plan, [], live);
/// </code>
/// </remarks>
public sealed class LiveLosses : IProgress<TrainingProgress>, IDisposable
{
    private readonly Action<Figure> _show;
    private readonly TimeSpan _interval;
    private readonly TimeProvider _time;
    private readonly Func<IEnumerable<StepMetrics>, Figure> _chart;
    private readonly List<StepMetrics> _metrics = [];
    private long? _shown;
    private int _shownSteps;
    private string? _run;

    /// <param name="show">The method that gets each new figure, on the training thread.</param>
    /// <param name="interval">The shortest time between two figures; one second by default.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <param name="chart">
    /// The chart, such as <see cref="Chart.TrainingTau(IEnumerable{StepMetrics})"/>;
    /// <see cref="Chart.TrainingLosses(IEnumerable{StepMetrics})"/> by default.
    /// </param>
    public LiveLosses(
        Action<Figure> show, TimeSpan? interval = null, TimeProvider? time = null, Func<IEnumerable<StepMetrics>, Figure>? chart = null)
    {
        (_show, _interval, _time) = (show, interval ?? TimeSpan.FromSeconds(1), time ?? TimeProvider.System);
        _chart = chart ?? Chart.TrainingLosses;
    }

    /// <summary>The steps so far.</summary>
    public IReadOnlyList<StepMetrics> Metrics => _metrics;

    /// <summary>The chart of the steps so far.</summary>
    public Figure Figure => _chart(_metrics);

    /// <summary>Adds a step, and shows the chart if the interval has passed.</summary>
    public void Add(StepMetrics step)
    {
        _metrics.Add(step);
        if (_shown is { } last && _time.GetElapsedTime(last) < _interval) return;
        Show();
    }

    /// <summary>Adds a step of a run. When a control follows the run with the adversary, the chart starts again.</summary>
    public void Report(TrainingProgress value)
    {
        if (_run is not null && _run != value.Folder.Path)
        {
            Dispose();
            _metrics.Clear();
        }
        _run = value.Folder.Path;
        Add(value.Metrics);
    }

    /// <summary>Shows the chart with the last steps.</summary>
    public void Dispose()
    {
        if (_metrics.Count > _shownSteps) Show();
        _shownSteps = 0;
    }

    private void Show()
    {
        (_shown, _shownSteps) = (_time.GetTimestamp(), _metrics.Count);
        _show(Figure);
    }
}
