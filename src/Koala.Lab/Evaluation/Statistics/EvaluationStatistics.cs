using Koala.Lab.Decoding.Trace;
using MathNet.Numerics.Statistics;

namespace Koala.Lab.Evaluation.Statistics;

/// <summary>Computes the figures of a report, each from those measurements that have data for it.</summary>
internal static class EvaluationStatistics
{
    /// <summary>The acceptance length, pooled over all rounds; the interval resamples measurements.</summary>
    public static MeanInterval AcceptanceLengthOf(IReadOnlyList<Measurement> measured)
    {
        static double Pooled(IReadOnlyList<Measurement> sample) =>
            new DecodingTrace([.. sample.SelectMany(m => m.Speculative.Rounds)]).AcceptanceLength;

        // An answer of one token has no round and therefore no acceptance length.
        var withRounds = measured.Where(m => m.Speculative.Rounds.Any()).ToArray();
        if (withRounds.Length == 0) return new MeanInterval(double.NaN, double.NaN, double.NaN) { Count = 0 };
        var (low, high) = Bootstrap.Interval(withRounds, Pooled);
        return new MeanInterval(Pooled(withRounds), low, high) { Count = withRounds.Length };
    }

    /// <summary>The median of the measurements' ratios: baseline seconds per token divided by those with the drafter.</summary>
    /// <param name="measured">The measurements.</param>
    /// <param name="shortest">The fewest seconds of each side; from fewer there is no speedup.</param>
    public static MedianInterval SpeedupOf(IReadOnlyList<Measurement> measured, double shortest)
    {
        if (SecondsOf(measured.Select(m => m.Baseline)) < shortest || SecondsOf(measured.Select(m => m.Speculative)) < shortest)
            return MedianInterval.Unknown;
        // An answer of one token has no round on either side and therefore no speed.
        var ratios = measured.Select(m => m.Baseline.SecondsPerToken / m.Speculative.SecondsPerToken).Where(double.IsFinite).ToArray();
        if (ratios.Length == 0) return MedianInterval.Unknown;
        var (low, high) = Bootstrap.Interval(ratios, sample => sample.Median());
        return new MedianInterval(ratios.Median(), low, high) { Count = ratios.Length };
    }

    /// <summary>All tokens of one side divided by all its seconds, and its median step.</summary>
    /// <param name="side">The side's answers.</param>
    /// <param name="shortest">The fewest seconds; from fewer there is no throughput.</param>
    public static Throughput ThroughputOf(IEnumerable<TimedAnswers> side, double shortest)
    {
        TimedAnswers[] timed = [.. side.Where(answers => double.IsFinite(answers.SecondsPerToken))];
        var seconds = SecondsOf(timed);
        if (timed.Length == 0 || seconds < shortest) return Throughput.Unknown;
        var steps = timed.SelectMany(answers => answers.Rounds).Select(round => round.VerifyMs);
        return new Throughput(timed.Sum(answers => answers.RoundTokens) / seconds, steps.Median());
    }

    /// <summary>Mean times of the rounds' parts.</summary>
    public static RoundTimes RoundTimesOf(IReadOnlyList<Round> rounds) => rounds.Count == 0
        ? RoundTimes.Unknown
        : new RoundTimes(rounds.Average(r => r.DraftMs), rounds.Average(r => r.VerifyMs), rounds.Average(r => r.BookkeepingMs));

    private static double SecondsOf(IEnumerable<TimedAnswers> side) => side
        .Where(answers => double.IsFinite(answers.SecondsPerToken))
        .Sum(answers => answers.SecondsPerToken * answers.RoundTokens);
}
