using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Decoding.Cost;

/// <summary>The length of a chain, or a tree, chosen for a device by a measurement.</summary>
/// <param name="Length">The number of tokens that a round drafts one after another; for a tree, its depth.</param>
/// <param name="Speedup">
/// The speedup that the measurements behind the choice predict. Below 1, drafting does not pay on this device. NaN where no round was
/// seen, or where the measurement was disturbed.
/// </param>
public sealed record DraftLengthChoice(int Length, double Speedup)
{
    /// <summary>The chosen tree; null means a chain.</summary>
    public DraftTree? Tree { get; init; }

    /// <summary>The chains and trees that it was chosen from, with what was measured; empty where no round was seen.</summary>
    public IReadOnlyList<DraftCandidate> Candidates { get; init; } = [];

    /// <summary>
    /// What showed that other work on the machine disturbed the measurement, in sentences. On a quiet machine another draft may be chosen.
    /// </summary>
    public IReadOnlyList<string> Disturbances { get; init; } = [];

    /// <summary>The options with the chosen draft.</summary>
    /// <param name="options">Options without a draft length and a tree.</param>
    public GenerationOptions ApplyTo(GenerationOptions options)
    {
        KoalaException.ThrowIfNull(options);
        return Tree is null ? options with { DraftLength = Length } : options with { Tree = Tree };
    }
}

/// <summary>A chain or a tree that may be chosen.</summary>
/// <param name="Tree">The chain or the tree.</param>
/// <param name="AcceptanceLength">Tokens per round, the bonus token included. NaN for a tree that was not tried.</param>
/// <param name="RoundMs">The milliseconds of a round. NaN for a tree that was not timed.</param>
/// <param name="Speedup">The speedup that follows. NaN for a tree that was not tried, because it could not be the fastest.</param>
public sealed record DraftCandidate(DraftTree Tree, double AcceptanceLength, double RoundMs, double Speedup)
{
    internal static DraftCandidate OfChain(int length, StepCost cost, IReadOnlyList<Round> rounds)
    {
        var tokens = rounds.Sum(round => 1 + Math.Min(round.Accepted, length));
        var milliseconds = rounds.Sum(round => cost.RoundMs(Math.Min(round.Drafted, length)));
        return new DraftCandidate(new ChainTree(length), (double)tokens / rounds.Count, milliseconds / rounds.Count,
            tokens * cost.BaselineMs / milliseconds);
    }
}
