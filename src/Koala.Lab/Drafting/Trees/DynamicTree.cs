using static TorchSharp.torch;

namespace Koala.Lab.Drafting.Trees;

/// <summary>A tree of the candidates that the head itself holds likeliest, another every round.</summary>
/// <remarks>
/// After EAGLE-2 (arXiv 2406.16858): level by level the best <see cref="TopK"/> nodes are expanded into as many children each; a node's score is
/// the sum of log-probabilities on its path, by the head; of all that were seen the best stay. Candidates are chosen, never drawn. Unlike EAGLE's
/// code, depth counts the levels that may stay (there one more is grown).
/// </remarks>
public sealed record DynamicTree : DraftTree
{
    /// <summary>The most tokens of a step of the target, the root among them. 2 to 257, default 60.</summary>
    public int Tokens { get; init; } = 60;

    /// <summary>The most levels under the root. 1 or more; null: 7, or fewer where the head drafts fewer.</summary>
    public int? Levels { get; init; }

    /// <summary>Nodes that are expanded a level, and children of each. 1 to 64, default 10.</summary>
    public int TopK { get; init; } = 10;

    /// <inheritdoc/>
    public override string Name => "dynamic";

    /// <inheritdoc/>
    public override int Depth => Levels ?? StandardLevels;

    /// <inheritdoc/>
    public override int Nodes => Tokens - 1;

    private const int StandardLevels = 7;

    /// <inheritdoc/>
    public override void Validate()
    {
        if (Tokens is < 2 or > MaxNodes + 1)
            throw KoalaException.ForOption($"Tree.{nameof(Tokens)}",
                $"is {Tokens}, but a tree has 2 to {MaxNodes + 1} tokens with its root", "set it to 60 or leave it out");
        if (Levels is < 1)
            throw KoalaException.ForOption($"Tree.{nameof(Levels)}", $"is {Levels}, but a tree has at least one level",
                "set it to 7 or leave it out");
        if (TopK is < 1 or > 64)
            throw KoalaException.ForOption($"Tree.{nameof(TopK)}", $"is {TopK}, but a node has 1 to 64 children",
                "set it to 10 or leave it out");
    }

    /// <inheritdoc/>
    public override DraftTree FitTo(int maxDraftLength) => Levels is null ? this with { Levels = Math.Min(StandardLevels, maxDraftLength) } : this;

    internal override IReadOnlyList<Draft> Grow(LevelDrafter drafter, ITokenSampler sampler)
    {
        using var scope = NewDisposeScope();
        var pools = Enumerable.Range(0, drafter.Batch).Select(_ => new Pool(TopK)).ToArray();
        for (var level = 0; level < Depth; level++)
        {
            var width = level == 0 ? 1 : pools[0].Beam.Length;
            var logits = level == 0 ? drafter.First() : drafter.Next([.. pools.Select(pool => pool.BeamTokens)], [.. pools.Select(pool => pool.BeamParents)]);
            var (scores, tokens, count) = Best(logits, TopK);
            var shared = logits.shape[0] == drafter.Batch ? width : 1;   // nodes of one row
            for (var b = 0; b < pools.Length; b++)
                pools[b].Expand(scores, tokens, count, node => (b * width + node) / shared, drafter.Vocabulary);
        }
        return [.. pools.Select(pool => pool.Draft(Nodes))];
    }

    // Log-probabilities and ids of each row's best tokens, on the host by one read.
    private static (double[] Scores, int[] Tokens, int Count) Best(Tensor logits, int topK)
    {
        using var scope = NewDisposeScope();
        var count = (int)Math.Min(topK, logits.shape[1]);
        var x = logits.to(ScalarType.Float32);
        var (best, ids) = x.topk(count);
        var both = stack([(best - x.logsumexp(-1, keepdim: true)).to(ScalarType.Float64), ids.to(ScalarType.Float64)]).cpu().data<double>().ToArray();
        var half = both.Length / 2;
        return (both[..half], Array.ConvertAll(both[half..], id => (int)id), count);
    }

    // All nodes of a sequence that were seen, parents first. Score: the sum of log-probabilities on the path.
    private sealed class Pool(int topK)
    {
        private readonly List<(int Token, int Parent, double Score, double LogQ)> _nodes = [];
        private int[] _beamParents = [];

        // The nodes that are expanded next; at first the root.
        public int[] Beam { get; private set; } = [-1];

        public int[] BeamTokens => [.. Beam.Select(node => _nodes[node].Token)];

        // Places of their parents in the beam before.
        public int[] BeamParents => _beamParents;

        public void Expand(double[] scores, int[] tokens, int count, Func<int, int> rowOf, DraftVocabulary? vocabulary)
        {
            var (first, parents) = (_nodes.Count, Beam);
            for (var i = 0; i < parents.Length; i++)
            {
                var above = parents[i] < 0 ? 0 : _nodes[parents[i]].Score;
                for (var (j, at) = (0, rowOf(i) * count); j < count; j++, at++)
                    _nodes.Add((vocabulary?.Tokens[tokens[at]] ?? tokens[at], parents[i], above + scores[at], scores[at]));
            }
            Beam = Likeliest(first, topK);
            _beamParents = [.. Beam.Select(node => (node - first) / count)];
        }

        // A child scores no better than its parent, and of equals the earlier one counts more: with a node its ancestors stay.
        public Draft Draft(int nodes)
        {
            var places = new Dictionary<int, int> { [-1] = -1 };
            var candidates = new List<Candidate>();
            foreach (var node in Likeliest(0, nodes))
            {
                places[node] = candidates.Count;
                candidates.Add(new Candidate(_nodes[node].Token, places[_nodes[node].Parent], (float)Math.Exp(_nodes[node].LogQ), null));
            }
            return new Draft(candidates);
        }

        // The best nodes from one on, in the order they were seen.
        private int[] Likeliest(int first, int count) =>
            [.. Enumerable.Range(first, _nodes.Count - first).OrderByDescending(node => _nodes[node].Score).Take(count).Order()];
    }
}
