using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting.Trees;

/// <summary>A tree without branches: each candidate follows the one before it.</summary>
/// <param name="Length">The number of candidates.</param>
public sealed record ChainTree(int Length) : DraftTree
{
    /// <summary>
    /// Where the chain ends early; null, the default, means nowhere. The drafter must have confidences
    /// (<see cref="LevelDrafter.Confidences"/>).
    /// </summary>
    public ConfidenceCut? Cut { get; init; }

    /// <inheritdoc/>
    public override int Depth => Length;

    /// <inheritdoc/>
    public override int Nodes => Length;

    /// <inheritdoc/>
    public override string Name => "chain";

    internal override IReadOnlyList<Draft> Grow(LevelDrafter drafter, ITokenSampler sampler)
    {
        using var scope = NewDisposeScope();
        if (Cut is not null) return GrowUntilCut(drafter, sampler, Cut);
        if (sampler.IsGreedy && Length > 0 && drafter.GreedyChain(Length) is { } best)
        {
            var tokens = best.data<long>().ToArray();
            if (tokens.Contains(BestTokens.None)) throw drafter.NotFinite();
            return [.. tokens.Chunk(Length).Select(GreedyChain)];
        }
        var chains = Enumerable.Range(0, drafter.Batch).Select(_ => new List<SampledToken>()).ToArray();
        int[][] parents = [.. chains.Select(_ => new int[1])];
        for (var depth = 0; depth < Length; depth++)
        {
            int[][] LastTokens() => [.. chains.Select(chain => new[] { chain[^1].Token })];
            var logits = depth == 0 ? drafter.First() : drafter.Next(LastTokens(), parents);
            var sampled = drafter.Sample(sampler, logits, count: 1, parents: 1);
            for (var b = 0; b < chains.Length; b++) chains[b].Add(sampled[b][0]);
        }
        return [.. chains.Select(Draft.Chain)];
    }

    // A chain that has ended takes no more random numbers, so that an answer does not depend on the others of its batch. It gets tokens
    // all the same, since a drafter takes as many from each sequence; they are no part of its draft.
    private Draft[] GrowUntilCut(LevelDrafter drafter, ITokenSampler sampler, ConfidenceCut cut)
    {
        var chains = Enumerable.Range(0, drafter.Batch).Select(_ => new List<SampledToken>()).ToArray();
        int[][] parents = [.. chains.Select(_ => new int[1])];
        int[][] LastTokens() => [.. chains.Select(chain => new[] { chain is [.., var last] ? last.Token : 0 })];
        var products = Enumerable.Repeat(1.0, chains.Length).ToArray();
        int[] growing = [.. Enumerable.Range(0, chains.Length)];
        for (var depth = 0; depth < Length; depth++)
        {
            var logits = depth == 0 ? drafter.First() : drafter.Next(LastTokens(), parents);
            var confidences = drafter.Confidences(cut.Sampled)
                ?? throw new InvalidOperationException("The draft source has confidences, but its drafter has none.");
            foreach (var b in growing) products[b] *= confidences[b];
            growing = [.. growing.Where(b => cut.GoesOn(depth, products[b]))];
            if (growing.Length == 0) break;
            var sampled = drafter.Sample(sampler, logits, growing);
            foreach (var (b, token) in growing.Zip(sampled)) chains[b].Add(token);
        }
        return [.. chains.Select(Draft.Chain)];
    }

    private static Draft GreedyChain(long[] tokens) =>
        Draft.Chain(tokens.Select(token => new SampledToken((int)token, null, null)));
}
