using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Lab.Decoding.Cost;

/// <summary>The length of a chain, chosen for a device.</summary>
/// <param name="Length">The number of tokens that a round drafts.</param>
/// <param name="Speedup">
/// The speedup that the measurements behind the choice predict. Below 1, drafting does not pay on this device. NaN where no round was
/// seen, or where the measurement was disturbed.
/// </param>
public sealed record DraftLengthChoice(int Length, double Speedup)
{
    /// <summary>
    /// What showed that other work on the machine disturbed the measurement, in sentences. On a quiet machine another length may be chosen.
    /// </summary>
    public IReadOnlyList<string> Disturbances { get; init; } = [];
}

/// <summary>
/// Chooses the draft length for this device: the length of the chain that gives the most tokens per second. The tuner drafts rounds
/// that are as long as possible, of which a shorter chain would have accepted the beginning, and measures what rounds of each length cost.
/// </summary>
public static class DraftLengthTuner
{
    /// <summary>The longest chain that is tried.</summary>
    public const int Longest = 10;

    /// <summary>The time that the decoder and <c>koala generate</c> take to choose.</summary>
    public static TimeSpan Budget { get; } = TimeSpan.FromSeconds(0.4);

    // The answers are short, because only their rounds are needed.
    private const int Tokens = 24;

    // A single answer may be all code or all prose.
    private const int FewestGroups = 3;

    /// <summary>
    /// Measures rounds and chooses. Half of the time is for rounds and half for costs. Each takes at least what it needs: a few short
    /// answers, and three rounds of a few lengths.
    /// </summary>
    /// <param name="target">The target.</param>
    /// <param name="source">The draft source.</param>
    /// <param name="prompts">
    /// The batches of prompts as they will be answered. They are answered in order until the time is up, but at least three of them, or
    /// all
    /// where there are fewer.
    /// </param>
    /// <param name="options">How answers are generated; its tree and its draft length are ignored.</param>
    /// <param name="budget">The approximate time in all.</param>
    /// <param name="limits">How much other work on the machine is tolerated; null means the defaults.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <returns>The choice and the costs, up to the longest chain.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static (DraftLengthChoice Choice, StepCost Cost) Measure(
        Target target, IDraftSource source, IEnumerable<IReadOnlyList<IReadOnlyList<int>>> prompts, GenerationOptions options,
        TimeSpan budget, DisturbanceLimits? limits = null, CancellationToken cancel = default)
    {
        var longest = Math.Min(source.MaxDraftLength, Longest);
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        var rounds = new List<Round>();
        var (batch, done) = (1, 0);
        var start = TimeProvider.System.GetTimestamp();
        var trial = options with { Tree = null, DraftLength = longest, MaxTokens = Math.Min(options.MaxTokens, Tokens), FullTrace = false };
        foreach (var group in prompts)
        {
            rounds.AddRange(decoder.GenerateAll(group, trial, cancel: cancel).SelectMany(answer => answer.Rounds));
            batch = Math.Max(batch, group.Count);
            if (++done >= FewestGroups && TimeProvider.System.GetElapsedTime(start) > budget / 2) break;
        }
        var chains = StepCost.TreesUpTo(SpeculativeDecoder.TreeFor(source, trial));
        var cost = StepCost.Measure(target, source, chains, trial, batch, budget / 2, cancel);
        var choice = Choose(cost, rounds, longest);
        string[] disturbances = [.. Disturbances.OfCost(cost, limits ?? new DisturbanceLimits())];
        return (disturbances.Length == 0 ? choice : choice with { Speedup = double.NaN, Disturbances = disturbances }, cost);
    }

    /// <summary>Chooses the length that would have given the most tokens per second.</summary>
    /// <param name="cost">The cost of rounds up to the longest.</param>
    /// <param name="rounds">Rounds whose chains are as long as possible. If there are none, the longest chain is chosen.</param>
    /// <param name="longest">The longest chain that may be chosen.</param>
    public static DraftLengthChoice Choose(StepCost cost, IReadOnlyList<Round> rounds, int longest)
    {
        if (rounds.Count == 0) return new DraftLengthChoice(longest, double.NaN);
        var choices = Enumerable.Range(1, longest).Select(length => new DraftLengthChoice(length, Speedup(length)));
        return choices.MaxBy(choice => choice.Speedup)!;

        double Speedup(int length)
        {
            var tokens = rounds.Sum(round => 1 + Math.Min(round.Accepted, length));
            var milliseconds = rounds.Sum(round => cost.RoundMs(Math.Min(round.Drafted, length)));
            return tokens * cost.BaselineMs / milliseconds;
        }
    }
}
