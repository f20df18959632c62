namespace Koala.Lab.Decoding.Cost;

/// <summary>
/// How much other work a measurement of time tolerates. Both sides of a comparison are measured alternately, so a little other work slows
/// both alike; beyond these limits Koala reports no speed.
/// </summary>
public sealed record DisturbanceLimits
{
    /// <summary>No limit: speeds are reported however busy the machine is.</summary>
    public static DisturbanceLimits None { get; } = new()
    {
        WaitingShare = double.PositiveInfinity,
        StolenShare = double.PositiveInfinity,
        Spread = double.PositiveInfinity,
        Deviation = double.PositiveInfinity,
        LeastRound = 0,
        ShortestSeconds = 0,
    };

    /// <summary>
    /// The largest share of the time in which Koala's threads could have run, but waited for a core that others used. Default 0.2: on a
    /// quiet machine it is a few hundredths, and one other busy process for each two cores makes it about 0.3.
    /// </summary>
    public double WaitingShare { get; init; } = 0.2;

    /// <summary>The largest share of the machine's processor time that its hypervisor gave to other machines. Default 0.1.</summary>
    public double StolenShare { get; init; } = 0.1;

    /// <summary>
    /// The median time of repeated rounds divided by the time that a quarter of them undercut. Default 1.5: without other work the rounds
    /// are alike.
    /// </summary>
    public double Spread { get; init; } = 1.5;

    /// <summary>
    /// How far, as a factor in either direction, two ways to the same figure may differ: the speedup that the cost of rounds predicts and
    /// the measured one. Default 1.5.
    /// </summary>
    public double Deviation { get; init; } = 1.5;

    /// <summary>
    /// The least time of a round with a draft, divided by that of a baseline round. Default 0.9: a round with a draft does all that a
    /// baseline round does, so what is below 1 is error of measurement.
    /// </summary>
    public double LeastRound { get; init; } = 0.9;

    /// <summary>The fewest seconds of answers from which a speed is computed. Default 0.05.</summary>
    public double ShortestSeconds { get; init; } = 0.05;
}
