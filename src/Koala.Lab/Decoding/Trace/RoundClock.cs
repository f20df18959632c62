namespace Koala.Lab.Decoding.Trace;

/// <summary>Splits the time of a round into draft, verify and bookkeeping. Times are in milliseconds.</summary>
internal sealed class RoundClock
{
    private readonly long _start = TimeProvider.System.GetTimestamp();
    private long _mark;
    private double _draft;
    private double _verify;

    private RoundClock() => _mark = _start;

    public static RoundClock Start() => new();

    /// <summary>The seconds since the start.</summary>
    public double Seconds => TimeProvider.System.GetElapsedTime(_start).TotalSeconds;

    /// <summary>Counts the time since the start as drafting.</summary>
    public void Drafted() => _draft += Lap();

    /// <summary>Counts the time since the end of drafting as verification.</summary>
    public void Verified() => _verify += Lap();

    /// <summary>Runs work of the head and counts its time as drafting.</summary>
    public void Draft(Action work)
    {
        var before = TimeProvider.System.GetTimestamp();
        work();
        _draft += TimeProvider.System.GetElapsedTime(before).TotalMilliseconds;
    }

    /// <summary>Ends the round. All time that is neither draft nor verify is bookkeeping.</summary>
    public (double Draft, double Verify, double Bookkeeping) Stop() =>
        (_draft, _verify, TimeProvider.System.GetElapsedTime(_start).TotalMilliseconds - _draft - _verify);

    private double Lap()
    {
        var now = TimeProvider.System.GetTimestamp();
        var lap = TimeProvider.System.GetElapsedTime(_mark, now).TotalMilliseconds;
        _mark = now;
        return lap;
    }
}
