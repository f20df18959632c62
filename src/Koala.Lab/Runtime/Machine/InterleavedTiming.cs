namespace Koala.Lab.Runtime.Machine;

/// <summary>
/// Compares the times of several actions. They run alternately, so that other work on the machine slows all of them alike, and the
/// best time of each counts, because such work only ever adds time.
/// </summary>
internal static class InterleavedTiming
{
    private const int WarmUps = 2;
    private const int FewestRounds = 3;

    /// <summary>
    /// Returns the fewest milliseconds of each action over at most <paramref name="rounds"/> rounds. It stops early, after at least
    /// three rounds, once <paramref name="budget"/> is spent.
    /// </summary>
    internal static double[] BestMs(int rounds, TimeSpan budget, params Action[] actions)
    {
        var began = TimeProvider.System.GetTimestamp();
        foreach (var action in actions)
            for (var i = 0; i < WarmUps; i++) action();
        var best = actions.Select(_ => double.PositiveInfinity).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            if (round >= FewestRounds && TimeProvider.System.GetElapsedTime(began) > budget) break;
            for (var i = 0; i < actions.Length; i++)
            {
                var start = TimeProvider.System.GetTimestamp();
                actions[i]();
                best[i] = Math.Min(best[i], TimeProvider.System.GetElapsedTime(start).TotalMilliseconds);
            }
        }
        return best;
    }
}
