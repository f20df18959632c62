using static TorchSharp.torch;

namespace Koala.Lab.Drafting.Trees;

/// <summary>
/// A tree of the candidates that are most likely according to the head itself. It differs from round to round.
/// </summary>
/// <remarks>
/// The method is that of EAGLE-2 (arXiv 2406.16858). Level by level the best <see cref="TopK"/> nodes are expanded into
/// as many children each. A node's score is the sum of the head's log-probabilities on its path. At the end the best of
/// all nodes stay. Candidates are chosen, never drawn. Unlike in EAGLE's code, depth counts the levels that may stay
/// (EAGLE's code grows one more).
/// </remarks>
public sealed record DynamicTree : DraftTree
{
    /// <summary>
    /// The largest number of tokens in a step of the target, including the root: 2 to 257. The default is 60.
    /// </summary>
    public int Tokens { get; init; } = 60;

    /// <summary>
    /// The largest number of levels under the root, 1 or more. Null means 7, or fewer if the head drafts fewer.
    /// </summary>
    public int? Levels { get; init; }

    /// <summary>
    /// The number of nodes that are expanded per level, and of the children of each: 1 to 64. The default is 10.
    /// </summary>
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
    public override DraftTree FitTo(int maxDraftLength) =>
        Levels is null ? this with { Levels = Math.Min(StandardLevels, maxDraftLength) } : this;

    internal override IReadOnlyList<Draft> Grow(LevelDrafter drafter, ITokenSampler sampler)
    {
        if (drafter.LikeliestTrees(this) is { } drafts) return drafts;
        using var scope = NewDisposeScope();
        var pools = Enumerable.Range(0, drafter.Batch).Select(_ => new Pool(TopK)).ToArray();
        for (var level = 0; level < Depth; level++)
        {
            var width = level == 0 ? 1 : pools[0].Beam.Length;
            var logits = level == 0
                ? drafter.First()
                : drafter.Next([.. pools.Select(pool => pool.BeamTokens)], [.. pools.Select(pool => pool.BeamParents)]);
            var (scores, tokens, count) = Best(logits, TopK);
            if (scores.Any(double.IsNaN)) throw drafter.NotFinite();
            var nodesPerRow = logits.shape[0] == drafter.Batch ? width : 1;
            for (var b = 0; b < pools.Length; b++)
                pools[b].Expand(scores, tokens, count, node => (b * width + node) / nodesPerRow, drafter.Vocabulary);
        }
        return [.. pools.Select(pool => pool.Draft(Nodes))];
    }

    // The log-probabilities and ids of each row's best tokens; the host reads both at once.
    private static (double[] Scores, int[] Tokens, int Count) Best(Tensor logits, int topK)
    {
        using var scope = NewDisposeScope();
        var count = (int)Math.Min(topK, logits.shape[1]);
        var x = logits.to(ScalarType.Float32);
        var (best, ids) = x.topk(count);
        var logProbabilities = best - x.logsumexp(-1, keepdim: true);
        var both = stack([logProbabilities.to(ScalarType.Float64), ids.to(ScalarType.Float64)]);
        var values = both.cpu().data<double>().ToArray();
        var half = values.Length / 2;
        return (values[..half], Array.ConvertAll(values[half..], id => (int)id), count);
    }

    // All nodes of a sequence so far, parents first. Score is the sum of log-probabilities on the path.
    private sealed class Pool(int topK)
    {
        private readonly List<(int Token, int Parent, double Score, double LogQ)> _nodes = [];
        private int[] _beamParents = [];

        // The nodes that are expanded next. The first one is the root.
        public int[] Beam { get; private set; } = [-1];

        public int[] BeamTokens => [.. Beam.Select(node => _nodes[node].Token)];

        // The indices of their parents in the beam before.
        public int[] BeamParents => _beamParents;

        public void Expand(double[] scores, int[] tokens, int count, Func<int, int> rowOf, DraftVocabulary? vocabulary)
        {
            var (first, parents) = (_nodes.Count, Beam);
            for (var i = 0; i < parents.Length; i++)
            {
                var parentScore = parents[i] < 0 ? 0 : _nodes[parents[i]].Score;
                var row = rowOf(i) * count;
                for (var j = row; j < row + count; j++)
                {
                    var token = vocabulary?.Tokens[tokens[j]] ?? tokens[j];
                    _nodes.Add((token, parents[i], parentScore + scores[j], scores[j]));
                }
            }
            Beam = Likeliest(first, topK);
            _beamParents = [.. Beam.Select(node => (node - first) / count)];
        }

        // A child scores no better than its parent, and the earlier of two equal nodes is preferred. So the ancestors
        // of a node that stays stay too.
        public Draft Draft(int nodes)
        {
            var candidateOf = new Dictionary<int, int> { [-1] = -1 };   // by node
            var candidates = new List<Candidate>();
            foreach (var node in Likeliest(0, nodes))
            {
                var (token, parent, _, logQ) = _nodes[node];
                candidateOf[node] = candidates.Count;
                candidates.Add(new Candidate(token, candidateOf[parent], (float)Math.Exp(logQ), null));
            }
            return new Draft(candidates);
        }

        // The best nodes from the given one on, in the order in which they were added.
        private int[] Likeliest(int first, int count)
        {
            var byScore = Enumerable.Range(first, _nodes.Count - first).OrderByDescending(node => _nodes[node].Score);
            return [.. byScore.Take(count).Order()];
        }
    }
}
