using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting.Trees;

/// <summary>A tree without branches: each candidate follows the one before it.</summary>
/// <param name="Length">The number of candidates.</param>
public sealed record ChainTree(int Length) : DraftTree
{
    /// <inheritdoc/>
    public override int Depth => Length;

    /// <inheritdoc/>
    public override int Nodes => Length;

    /// <inheritdoc/>
    public override string Name => "chain";

    internal override IReadOnlyList<Draft> Grow(LevelDrafter drafter, ITokenSampler sampler)
    {
        using var scope = NewDisposeScope();
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

    private static Draft GreedyChain(long[] tokens) =>
        Draft.Chain(tokens.Select(token => new SampledToken((int)token, null, null)));
}
