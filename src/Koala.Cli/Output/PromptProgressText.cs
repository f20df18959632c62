using Koala.Lab.Evaluation;

namespace Koala.Cli.Output;

/// <summary>
/// The progress over prompts in words: prompts done and time left. Each tenth of the prompts is a milestone.
/// </summary>
/// <param name="show">Shows the progress.</param>
/// <param name="work">What is done with the prompts, as a verb in -ing.</param>
internal sealed class PromptProgressText(Report show, string work) : IProgress<EvaluationProgress>
{
    private const int Milestones = 10;

    private readonly long _start = TimeProvider.System.GetTimestamp();
    private int _previous;

    public void Report(EvaluationProgress value)
    {
        var left = TimeProvider.System.GetElapsedTime(_start).TotalSeconds / value.Done * (value.Total - value.Done);
        var milestone = value.Done * Milestones / value.Total > _previous * Milestones / value.Total;
        _previous = value.Done;
        show(value.Done, value.Total, $"{work}: prompt {value.Done}/{value.Total}, {ProgressLine.Time(left)} left", milestone);
    }
}
