using System.Globalization;
using Koala.Lab.Checkpoints.Hub;

namespace Koala.Cli.Output;

/// <summary>
/// The progress of a download in words: file, megabytes, megabytes per second and time left. The end of each file, each
/// tenth of all bytes and each pause is a milestone.
/// </summary>
internal sealed class HubProgressText(Report show) : IProgress<HubProgress>
{
    private const int Milestones = 10;
    private const double Mega = 1e6;

    private long _start;
    private (int Index, long Tenth) _last;

    public void Report(HubProgress value)
    {
        if (_start == 0) _start = TimeProvider.System.GetTimestamp();
        var tenth = value.Total == 0 ? 0 : value.Done * Milestones / value.Total;
        var megabytes = $"{Number(value.Done / Mega)} of {Number(value.Total / Mega)} MB";
        var text = value.Note ?? $"{value.File} ({value.Index}/{value.Files}): {megabytes}{Rate(value)}";
        var milestone = value.Note is not null || _last != (value.Index, tenth);
        show((int)(value.Done * 1000 / Math.Max(1, value.Total)), 1000, text, milestone);
        _last = (value.Index, tenth);
    }

    // Files that were in the cache already say nothing about the speed of the network.
    private string Rate(HubProgress value)
    {
        var seconds = TimeProvider.System.GetElapsedTime(_start).TotalSeconds;
        if (seconds < 0.5 || value.Transferred == 0) return "";
        var rate = value.Transferred / seconds;
        return $", {Number(rate / Mega)} MB/s, {ProgressLine.Time((value.Total - value.Done) / rate)} left";
    }

    private static string Number(double value) => value.ToString("F1", CultureInfo.InvariantCulture);
}
