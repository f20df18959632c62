using MathNet.Numerics.Statistics;

namespace Koala.Lab.Evaluation.Comparison;

/// <summary>
/// A figure as a ratio of sums over answers, such as tokens per round. Its change from one set of answers to another is, to the first
/// order, a mean over the answers of their influences, which gives its interval.
/// </summary>
/// <param name="Name">The figure's name and unit.</param>
/// <param name="IsRatio">Whether two of them are compared by their ratio; then influences are those on the logarithm.</param>
/// <param name="IsTimed">Whether other work on the machine changes it.</param>
/// <param name="Terms">What an answer adds: a product of ratios, each a numerator and a denominator.</param>
internal sealed record FigureOfAnswers(
    string Name, bool IsRatio, bool IsTimed, Func<AnswerReport, (double Over, double Under)[]> Terms)
{
    /// <summary>The tokens committed per round, the bonus token included.</summary>
    public static FigureOfAnswers AcceptanceLength { get; } = new("acceptance length", false, false,
        a => [(a.Speculative.Accepted + a.Speculative.Rounds, a.Speculative.Rounds)]);

    /// <summary>The speed over the own baseline.</summary>
    public static FigureOfAnswers Speedup { get; } = new("speedup over its own baseline", true, true,
        a => [(Seconds(a.Baseline), 1), (1, Seconds(a.Speculative))]);

    /// <summary>The tokens per second with the drafter.</summary>
    public static FigureOfAnswers TokensPerSecond { get; } = new("tokens/s", true, true,
        a => [(a.Speculative.Tokens - 1, Seconds(a.Speculative))]);

    /// <summary>The figures of a comparison: acceptance, the speed over the own baseline, and absolute times.</summary>
    public static IReadOnlyList<FigureOfAnswers> All { get; } =
    [
        AcceptanceLength,
        Speedup,
        TokensPerSecond,
        new("ms to the first token", true, true, a => [(a.Speculative.PrefillSeconds * 1000, 1)]),
        new("ms per answer", true, true, a => [((a.Speculative.PrefillSeconds + Seconds(a.Speculative)) * 1000, 1)]),
        Latency(50),
        Latency(90),
        Latency(99),
    ];

    /// <summary>Whether an answer has the figure.</summary>
    public bool IsKnown(AnswerReport answer) =>
        answer.Speculative.Rounds > 0 && Terms(answer).All(term => double.IsFinite(term.Over) && double.IsFinite(term.Under));

    /// <summary>The figure of answers and their influences on it, <c>[seeds][prompts]</c>.</summary>
    public (double Value, double[][] Influences) Estimate(AnswerReport[][] answers)
    {
        (double Over, double Under)[][][] terms = [.. answers.Select(row => row.Select(Terms).ToArray())];
        var count = terms[0][0].Length;
        (double Over, double Under)[] means = [.. Enumerable.Range(0, count).Select(t => (
            terms.Average(row => row.Average(of => of[t].Over)), terms.Average(row => row.Average(of => of[t].Under))))];
        var value = means.Aggregate(1.0, (product, mean) => product * mean.Over / mean.Under);
        // d log(Σ over / Σ under): an answer's share of the one less its share of the other.
        double Influence((double Over, double Under)[] of) =>
            of.Zip(means, (one, mean) => one.Over / mean.Over - one.Under / mean.Under).Sum() * (IsRatio ? 1 : value);
        return (value, [.. terms.Select(row => row.Select(Influence).ToArray())]);
    }

    private static double Seconds(AnswerTimes side) => side.SecondsPerToken * (side.Tokens - 1);

    // The mean over answers of their quantiles: what a reader of one answer meets.
    private static FigureOfAnswers Latency(int percent) => new($"ms per token, p{percent} of an answer", true, true,
        a => [(a.Speculative.TokenMs.Quantile(percent / 100.0), 1)]);
}
