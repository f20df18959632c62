using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using MathNet.Numerics.Statistics;

namespace Koala.Lab.Evaluation;

/// <summary>One side's answers to a batch of prompts.</summary>
/// <param name="Answers">The answers of the first repeat.</param>
/// <param name="SecondsPerToken">The median over the repeats; NaN where no answer had a round.</param>
internal sealed record TimedAnswers(IReadOnlyList<Generation> Answers, double SecondsPerToken)
{
    /// <summary>Tokens that came from rounds: all but the first of each answer, which comes with prefill.</summary>
    public int RoundTokens => RoundTokensOf(Answers);

    /// <summary>The rounds of all answers.</summary>
    public IEnumerable<Round> Rounds => Answers.SelectMany(answer => answer.Rounds);

    /// <param name="repeats">The answers to the same prompts, once for each repeat.</param>
    public static TimedAnswers FromRepeats(IReadOnlyList<IReadOnlyList<Generation>> repeats) =>
        new(repeats[0], repeats.Select(SecondsPerTokenOf).Median());

    // The batch's seconds in rounds divided by its tokens; prefill is not counted.
    private static double SecondsPerTokenOf(IReadOnlyList<Generation> answers)
    {
        var tokens = RoundTokensOf(answers);
        return tokens == 0 ? double.NaN : (answers.Max(a => a.Seconds) - answers.Max(a => a.PrefillSeconds)) / tokens;
    }

    private static int RoundTokensOf(IReadOnlyList<Generation> answers) => answers.Sum(a => a.Tokens.Count - 1);
}
