using System.Globalization;
using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Cli.Output;

/// <summary>
/// The progress of training in words: step, loss, held-out accuracy at each depth, steps per second and time left. Each
/// measurement of held-out accuracy is a milestone.
/// </summary>
internal sealed class TrainingProgressText(RunFolder run, Report show) : IProgress<TrainingProgress>
{
    private readonly Dictionary<string, (int Step, long Time)> _starts = [];
    private string _accuracy = "";

    public void Report(TrainingProgress value)
    {
        var metrics = value.Metrics;
        var name = value.Folder.Path == run.Path ? "" : "control: ";
        // The rate leaves out the first step of this process, which is the slowest. A control has its own first step.
        if (!_starts.TryGetValue(name, out var start))
        {
            _starts[name] = (metrics.Step, TimeProvider.System.GetTimestamp());
            _accuracy = "";
        }
        if (metrics.ValidationAccuracy is { } accuracies)
        {
            var texts = accuracies.Select(accuracy =>
                double.IsNaN(accuracy) ? "-" : accuracy.ToString("F2", CultureInfo.InvariantCulture));
            _accuracy = $", held-out {string.Join(" ", texts)}";
        }
        var rateText = "";
        if (start.Time != 0 && metrics.Step > start.Step)
        {
            var rate = (metrics.Step - start.Step) / TimeProvider.System.GetElapsedTime(start.Time).TotalSeconds;
            rateText = $", {rate:F1} steps/s, {ProgressLine.Time((value.Steps - metrics.Step) / rate)} left";
        }
        var loss = double.IsNaN(metrics.Loss) ? "nothing to learn" : $"loss {metrics.Loss:F3}";
        var text = $"{name}step {metrics.Step}/{value.Steps}, {loss}{_accuracy}{rateText}";
        show(metrics.Step, value.Steps, text, milestone: metrics.ValidationAccuracy is not null);
    }
}
