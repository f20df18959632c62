using System.Globalization;
using Koala.Lab.Regeneration;

namespace Koala.Cli.Output;

/// <summary>
/// The progress of <c>regenerate</c> in words: answers done, tokens per second and time left. Each twentieth of the
/// answers is a milestone.
/// </summary>
internal sealed class RegenerationProgressText(Report show)
{
    private const int Milestones = 20;

    private readonly long _start = TimeProvider.System.GetTimestamp();
    private int _milestone;

    public void Report(RegenerationProgress value)
    {
        var seconds = TimeProvider.System.GetElapsedTime(_start).TotalSeconds;
        var left = seconds / Math.Max(1, value.Done - value.AnswersBefore) * (value.Total - value.Done);
        var milestone = value.Done * Milestones / value.Total;
        var text = string.Create(CultureInfo.InvariantCulture,
            $"answers {value.Done}/{value.Total}, {value.Tokens / seconds:F0} tokens/s, {ProgressLine.Time(left)} left");
        show(value.Done, value.Total, text, milestone > _milestone);
        _milestone = milestone;
    }
}
