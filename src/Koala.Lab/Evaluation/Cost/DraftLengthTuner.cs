using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation.Cost;

/// <summary>A chain's length chosen for a device.</summary>
/// <param name="Length">Tokens drafted a round.</param>
/// <param name="Speedup">What the measurements it was chosen by promise of it; below 1 drafting does not pay here. NaN where no round was seen.</param>
public sealed record DraftLengthChoice(int Length, double Speedup);

/// <summary>
/// Chooses how many tokens a round drafts on this device: the chain with the most tokens a second, by rounds drafted as long as can be, of which each
/// shorter chain would have accepted the beginning, and by what rounds of each length cost.
/// </summary>
public static class DraftLengthTuner
{
    /// <summary>Longer chains are not tried.</summary>
    public const int Longest = 10;

    // Answers begun for it are short: its rounds, not its answers, are wanted.
    private const int Tokens = 24;

    // One answer may be all code or all prose.
    private const int FewestGroups = 3;

    /// <summary>Measures and chooses. Half of the time goes to rounds, half to costs; each takes what it needs at least, a few short answers and three rounds of a few lengths.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">What drafts.</param>
    /// <param name="prompts">Groups of prompts as they will be answered side by side, one after another until time is up, but at least three, or as many as there are.</param>
    /// <param name="options">How answers are generated; a tree or draft length in it is not looked at.</param>
    /// <param name="budget">Time in all, about.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <returns>The choice and the costs, up to the longest chain.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static (DraftLengthChoice Choice, StepCost Cost) Measure(Target target, IDraftSource source, IEnumerable<IReadOnlyList<IReadOnlyList<int>>> prompts,
        GenerationOptions options, TimeSpan budget, CancellationToken cancel = default)
    {
        var longest = Math.Min(source.MaxDraftLength, Longest);
        using var decoder = new SpeculativeDecoder(target, source);
        var (rounds, batch, done, began) = (new List<Round>(), 1, 0, TimeProvider.System.GetTimestamp());
        var tried = options with { Tree = null, DraftLength = longest, MaxTokens = Math.Min(options.MaxTokens, Tokens), FullTrace = false };
        foreach (var group in prompts)
        {
            rounds.AddRange(decoder.GenerateAll(group, tried, cancel: cancel).SelectMany(answer => answer.Rounds));
            batch = Math.Max(batch, group.Count);
            if (++done >= FewestGroups && TimeProvider.System.GetElapsedTime(began) > budget / 2) break;
        }
        var cost = StepCost.Measure(target, source, StepCost.Chains(longest), tried, batch, budget / 2, cancel);
        return (Choose(cost, rounds, longest), cost);
    }

    /// <summary>The length that would have given the most tokens a second.</summary>
    /// <param name="cost">Of rounds up to the longest.</param>
    /// <param name="rounds">Chains as long as can be. None: the longest is taken.</param>
    /// <param name="longest">The longest to choose.</param>
    public static DraftLengthChoice Choose(StepCost cost, IReadOnlyList<Round> rounds, int longest)
    {
        if (rounds.Count == 0) return new DraftLengthChoice(longest, double.NaN);
        double Speedup(int length) => rounds.Sum(r => 1 + Math.Min(r.Accepted, length)) * cost.BaselineMs / rounds.Sum(r => cost.RoundMs(Math.Min(r.Drafted, length)));
        return Enumerable.Range(1, longest).Select(length => new DraftLengthChoice(length, Speedup(length))).MaxBy(choice => choice.Speedup)!;
    }
}
