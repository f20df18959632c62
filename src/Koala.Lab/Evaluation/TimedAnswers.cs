using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using MathNet.Numerics.Statistics;

namespace Koala.Lab.Evaluation;

/// <summary>One side's answers to a group of prompts.</summary>
/// <param name="Answers">The answers of the first repeat.</param>
/// <param name="SecondsPerToken">The median over the repeats; NaN where no answer had a round.</param>
internal sealed record TimedAnswers(IReadOnlyList<Generation> Answers, double SecondsPerToken)
{
    /// <summary>Tokens that came from rounds: all but the first of each answer, which comes with prefill.</summary>
    public int RoundTokens => RoundTokensOf(Answers);

    /// <summary>The rounds of all answers.</summary>
    public IEnumerable<Round> Rounds => Answers.SelectMany(answer => answer.Rounds);

    /// <param name="answers">The answers of a repeat.</param>
    /// <param name="roundSeconds">The seconds of all their rounds, without prefill.</param>
    public static TimedAnswers Of(IReadOnlyList<Generation> answers, double roundSeconds) =>
        new(answers, RoundTokensOf(answers) is > 0 and var tokens ? roundSeconds / tokens : double.NaN);

    /// <param name="repeats">The answers to the same prompts, once for each repeat.</param>
    public static TimedAnswers FromRepeats(IReadOnlyList<TimedAnswers> repeats) =>
        new(repeats[0].Answers, repeats.Select(repeat => repeat.SecondsPerToken).Median());

    private static int RoundTokensOf(IReadOnlyList<Generation> answers) => answers.Sum(a => a.Tokens.Count - 1);
}
