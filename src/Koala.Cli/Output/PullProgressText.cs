using System.Globalization;
using Koala.Lab.Checkpoints.Hub;

namespace Koala.Cli.Output;

/// <summary>A download's progress in words: file, megabytes, megabytes a second, time left. Each file's end, each tenth of the whole and each pause is a milestone.</summary>
internal sealed class PullProgressText(Report show) : IProgress<PullProgress>
{
    private const int Milestones = 10;
    private const double Mega = 1e6;

    private long _begun;
    private (int Index, long Tenth) _last;

    public void Report(PullProgress value)
    {
        if (_begun == 0) _begun = TimeProvider.System.GetTimestamp();
        var tenth = value.Total == 0 ? 0 : value.Done * Milestones / value.Total;
        var text = value.Note ?? $"{value.File} ({value.Index}/{value.Files}): {Number(value.Done / Mega)} of {Number(value.Total / Mega)} MB{Pace(value)}";
        show((int)(value.Done * 1000 / Math.Max(1, value.Total)), 1000, text, value.Note is not null || _last != (value.Index, tenth));
        _last = (value.Index, tenth);
    }

    // What was here already came in no time and says nothing about the network.
    private string Pace(PullProgress value)
    {
        var seconds = TimeProvider.System.GetElapsedTime(_begun).TotalSeconds;
        if (seconds < 0.5 || value.Received == 0) return "";
        var rate = value.Received / seconds;
        return $", {Number(rate / Mega)} MB/s, {ProgressLine.Time((value.Total - value.Done) / rate)} left";
    }

    private static string Number(double value) => value.ToString("F1", CultureInfo.InvariantCulture);
}
