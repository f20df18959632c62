using System.Globalization;
using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Cli.Output;

/// <summary>
/// The progress of training in words: step, loss, simulated acceptance length, held-out accuracy at each depth and
/// acceptance length (teacher-forced and free-running), steps per second and time left. Each validation is a milestone.
/// </summary>
internal sealed class TrainingProgressText(RunFolder run, Report show) : IProgress<TrainingProgress>
{
    private readonly Dictionary<string, (int Step, long Time)> _starts = [];
    private string _accuracy = "";

    public void Report(TrainingProgress value)
    {
        var metrics = value.Metrics;
        var name = value.Folder.Path == run.Path ? "" : $"{Path.GetFileName(value.Folder.Path)}: ";
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
            _accuracy = $", held-out {string.Join(" ", texts)}{Tau(metrics)}";
        }
        var rateText = "";
        if (start.Time != 0 && metrics.Step > start.Step)
        {
            var rate = (metrics.Step - start.Step) / TimeProvider.System.GetElapsedTime(start.Time).TotalSeconds;
            rateText = $", {rate:F1} steps/s, {ProgressLine.Time((value.Steps - metrics.Step) / rate)} left";
        }
        var loss = double.IsNaN(metrics.Loss) ? "nothing to learn" : $"loss {metrics.Loss:F3}, τ {metrics.TauSimulated:F2}";
        var text = $"{name}step {metrics.Step}/{value.Steps}, {loss}{_accuracy}{rateText}";
        show(metrics.Step, value.Steps, text, milestone: metrics.ValidationAccuracy is not null);
    }

    private static string Tau(StepMetrics metrics)
    {
        if (metrics.ValidationTauTeacherForced is not { } forced || double.IsNaN(forced)) return "";
        var free = metrics.ValidationTauFreeRunning is { } tau && !double.IsNaN(tau) ? $", free-running {tau:F2}" : "";
        return $", τ {forced:F2}{free}";
    }
}
