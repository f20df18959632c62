using Koala.Lab.Evaluation;

namespace Koala.Cli.Output;

/// <summary>Progress over prompts in words: how many, time left. Each tenth part is a milestone.</summary>
internal sealed class PromptProgressText(Report show, string work) : IProgress<EvaluationProgress>
{
    private const int Milestones = 10;

    private readonly long _start = TimeProvider.System.GetTimestamp();
    private int _before;

    public void Report(EvaluationProgress value)
    {
        var left = TimeProvider.System.GetElapsedTime(_start).TotalSeconds / value.Done * (value.Total - value.Done);
        var milestone = value.Done * Milestones / value.Total > _before * Milestones / value.Total;
        _before = value.Done;
        show(value.Done, value.Total, $"{work}: prompt {value.Done}/{value.Total}, {ProgressLine.Time(left)} left", milestone);
    }
}
