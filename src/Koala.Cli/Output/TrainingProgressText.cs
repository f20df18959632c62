using System.Globalization;
using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Cli.Output;

/// <summary>Training's progress in words: step, loss, held-out accuracy by position, steps a second, time left. A look at held-out accuracy is a milestone.</summary>
internal sealed class TrainingProgressText(RunFolder run, Report show) : IProgress<TrainingProgress>
{
    private readonly Dictionary<string, (int Step, long Time)> _begun = [];
    private string _accuracy = "";

    public void Report(TrainingProgress value)
    {
        var (metrics, name) = (value.Metrics, value.Folder.Path == run.Path ? "" : "control: ");
        // Counted from the first step of this process on, which is the slowest; a control starts anew.
        if (!_begun.TryGetValue(name, out var begun))
        {
            _begun[name] = (metrics.Step, TimeProvider.System.GetTimestamp());
            _accuracy = "";
        }
        if (metrics.ValidationAccuracy is { } accuracy)
            _accuracy = $", held-out {string.Join(" ", accuracy.Select(a => a.ToString("F2", CultureInfo.InvariantCulture)))}";
        var pace = "";
        if (begun.Time != 0 && metrics.Step > begun.Step)
        {
            var rate = (metrics.Step - begun.Step) / TimeProvider.System.GetElapsedTime(begun.Time).TotalSeconds;
            pace = $", {rate:F1} steps/s, {ProgressLine.Time((value.Steps - metrics.Step) / rate)} left";
        }
        show(metrics.Step, value.Steps, $"{name}step {metrics.Step}/{value.Steps}, loss {metrics.Loss:F3}{_accuracy}{pace}", metrics.ValidationAccuracy is not null);
    }
}
