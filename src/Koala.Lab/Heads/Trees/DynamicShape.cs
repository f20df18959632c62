using static TorchSharp.torch;

namespace Koala.Lab.Heads.Trees;

/// <summary>EAGLE-2's tree (arXiv 2406.16858): grown anew each round where the head is surest, then cut to the surest candidates.</summary>
/// <remarks>
/// A candidate's score is the sum of the head's log-probabilities from the root to it. Level by level the best <see cref="TopK"/> candidates get
/// <see cref="TopK"/> children each; of all that came up the best <see cref="Tokens"/> are the draft. A child never scores above its parent, so these are a tree.
/// Candidates are chosen, never drawn: at a temperature above 0 they are judged as such.
/// </remarks>
public sealed record DynamicShape : DraftShape
{
    /// <summary>The most candidates, the root not counted. 1 to <see cref="TreeFile.MostNodes"/>, default 59 (EAGLE-2: 60 with the root).</summary>
    public int Tokens { get; init; } = 59;

    /// <summary>Levels. Default 8 (EAGLE-2's depth of 7 counts the levels after the first).</summary>
    public int Levels { get; init; } = 8;

    /// <summary>Candidates that get children, and children each gets. Default 10.</summary>
    public int TopK { get; init; } = 10;

    /// <inheritdoc/>
    public override int Depth => Levels;

    /// <inheritdoc/>
    public override int Nodes => Tokens;

    /// <inheritdoc/>
    public override string Name => "dynamic";

    /// <exception cref="KoalaException">A size is out of range.</exception>
    public void Validate()
    {
        if (Tokens is < 1 or > TreeFile.MostNodes) throw new KoalaException("--tree-tokens", $"is {Tokens}, but a tree has 1 to {TreeFile.MostNodes} candidates", "set it to about 24");
        if (Levels < 1) throw new KoalaException("--tree-depth", $"is {Levels}, but a tree has at least one level", "set it to about 6");
        if (TopK is < 1 or > 64) throw new KoalaException("--tree-topk", $"is {TopK}, but a candidate gets 1 to 64 children", "set it to about 8");
    }

    internal override IReadOnlyList<Draft> Grow(LevelDrafter drafter, ICandidateChooser chooser)
    {
        using var scope = NewDisposeScope();
        var pools = Enumerable.Range(0, drafter.Batch).Select(_ => new Pool()).ToArray();
        for (var level = 0; level < Levels; level++)
        {
            var logits = level == 0 ? drafter.First() : drafter.Next([.. pools.Select(p => p.BeamTokens)], [.. pools.Select(p => p.BeamParents)]);
            var (tokens, scores) = Best(drafter, logits);
            var rows = tokens.Length / pools.Length;
            for (var b = 0; b < pools.Length; b++) pools[b].Grow(tokens[(b * rows)..((b + 1) * rows)], scores[(b * rows)..((b + 1) * rows)], TopK);
        }
        return [.. pools.Select(pool => pool.Draft(Tokens))];
    }

    // The likeliest tokens of each row and their log-probabilities, [rows][TopK].
    private (int[][] Tokens, float[][] Scores) Best(LevelDrafter drafter, Tensor logits)
    {
        var x = logits.to(ScalarType.Float32);
        var (values, indices) = x.topk((int)Math.Min(TopK, x.shape[1]));
        // One copy to the host: ids are exact in fp64.
        var both = cat([(values - x.logsumexp(-1, keepdim: true)).to(ScalarType.Float64), indices.to(ScalarType.Float64)], 1).cpu().data<double>().ToArray();
        var rows = both.Chunk(2 * (int)values.shape[1]).ToArray();
        var half = (int)values.shape[1];
        return ([.. rows.Select(row => row[half..].Select(id => drafter.OfTarget((int)id)).ToArray())], [.. rows.Select(row => row[..half].Select(s => (float)s).ToArray())]);
    }

    // All candidates of a sequence that came up, in the order they came up: parents before children, siblings best first.
    private sealed class Pool
    {
        private readonly List<(int Token, int Parent, float Score, float Log)> _nodes = [];
        private int[] _beam = [-1];       // nodes that get children; -1: the root
        private int[] _before = [-1];     // those of the level above

        public int[] BeamTokens => [.. _beam.Select(node => _nodes[node].Token)];

        // Where each parent stood in the beam before.
        public int[] BeamParents => [.. _beam.Select(node => Array.IndexOf(_before, _nodes[node].Parent))];

        public void Grow(int[][] tokens, float[][] logs, int topK)
        {
            var first = _nodes.Count;
            for (var i = 0; i < _beam.Length; i++)
                for (var j = 0; j < tokens[i].Length; j++)
                    _nodes.Add((tokens[i][j], _beam[i], (_beam[i] < 0 ? 0 : _nodes[_beam[i]].Score) + logs[i][j], logs[i][j]));
            _before = _beam;
            // A stable order: of equals the earlier one, so that parents go before children among equals too.
            _beam = [.. Enumerable.Range(first, _nodes.Count - first).OrderByDescending(node => _nodes[node].Score).Take(topK).Order()];
        }

        public Draft Draft(int count)
        {
            int[] kept = [.. Enumerable.Range(0, _nodes.Count).OrderByDescending(node => _nodes[node].Score).Take(count).Order()];
            return new Draft([.. kept.Select(node => new Candidate(_nodes[node].Token, _nodes[node].Parent < 0 ? -1 : Array.IndexOf(kept, _nodes[node].Parent), MathF.Exp(_nodes[node].Log), null))]);
        }
    }
}
