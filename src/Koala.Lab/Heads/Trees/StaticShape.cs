using static TorchSharp.torch;

namespace Koala.Lab.Heads.Trees;

/// <summary>A tree that is the same in every round: which child ranks of which nodes are candidates, as Medusa's choices say it.</summary>
/// <remarks>A path is the ranks from the root down: [0,2] is the third-best token after the best one. Where candidates are drawn, siblings are the first draws.</remarks>
public sealed record StaticShape : DraftShape
{
    private readonly Level[] _levels;

    /// <param name="name">What reports call it: a published tree's name, or the file's.</param>
    /// <param name="paths">In any order; of every path the one that it continues is there too.</param>
    /// <exception cref="KoalaException">A path is empty, has a negative rank, comes twice or continues none; or there are more than <see cref="TreeFile.MostNodes"/>.</exception>
    public StaticShape(string name, IReadOnlyList<IReadOnlyList<int>> paths)
    {
        Name = name;
        TreeFile.Check(name, paths);
        // By length, then by ranks: parents come before children and siblings in the order they are judged.
        Paths = [.. paths.OrderBy(p => p.Count).ThenBy(p => p, Comparer<IReadOnlyList<int>>.Create(ByRanks))];
        _levels = [.. Enumerable.Range(1, Depth).Select(LevelAt)];
    }

    /// <summary>The paths, parents before children.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Paths { get; }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override int Depth => Paths.Count == 0 ? 0 : Paths[^1].Count;

    /// <inheritdoc/>
    public override int Nodes => Paths.Count;

    internal override IReadOnlyList<Draft> Grow(LevelDrafter drafter, ICandidateChooser chooser)
    {
        using var scope = NewDisposeScope();
        var trees = Enumerable.Range(0, drafter.Batch).Select(_ => new GrowingTree()).ToArray();
        var asked = 1;   // nodes whose children the logits are about
        for (var depth = 0; depth < _levels.Length; depth++)
        {
            var level = _levels[depth];
            var logits = depth == 0 ? drafter.First() : drafter.Next([.. trees.Select(tree => tree.Tokens(_levels[depth - 1].Inner))], [.. trees.Select(_ => _levels[depth - 1].ParentsOfInner)]);
            asked = depth == 0 ? 1 : _levels[depth - 1].Inner.Length;
            var choices = drafter.Choose(chooser, logits, level.MostChildren);
            for (var b = 0; b < trees.Length; b++) trees[b].Add(level, choices, b * asked);
        }
        return [.. trees.Select(tree => tree.Draft())];
    }

    private Level LevelAt(int depth)
    {
        var nodes = Paths.Where(p => p.Count == depth).ToArray();
        var above = depth == 1 ? [[]] : Inner(depth - 1);
        int[] parents = [.. nodes.Select(p => Array.FindIndex(above, q => q.SequenceEqual(p.Take(depth - 1))))];
        var inner = Inner(depth);
        return new Level(
            [.. nodes.Select((p, i) => new Node(p[^1], parents.Take(i).Count(parent => parent == parents[i]), parents[i]))],
            nodes.Max(p => p[^1]) + 1,
            [.. inner.Select(p => Array.FindIndex(nodes, q => q.SequenceEqual(p)))],
            [.. inner.Select(p => parents[Array.FindIndex(nodes, q => q.SequenceEqual(p))])]);
    }

    // Nodes of a level that have children, in order.
    private IReadOnlyList<int>[] Inner(int depth) =>
        [.. Paths.Where(p => p.Count == depth && Paths.Any(q => q.Count == depth + 1 && q.Take(depth).SequenceEqual(p)))];

    private static int ByRanks(IReadOnlyList<int>? one, IReadOnlyList<int>? other) => one!.Zip(other!, (a, b) => a.CompareTo(b)).FirstOrDefault(order => order != 0);

    /// <summary>A candidate: its rank, its place among the siblings that are in the tree, and which of the nodes above that have children it belongs to.</summary>
    private readonly record struct Node(int Rank, int Place, int Parent);

    /// <summary>A level of the tree.</summary>
    /// <param name="Nodes">Its candidates, in order.</param>
    /// <param name="MostChildren">Choices to take after each node above.</param>
    /// <param name="Inner">Which of its candidates have children.</param>
    /// <param name="ParentsOfInner">Of these, the parent's place among the nodes above that have children.</param>
    private sealed record Level(Node[] Nodes, int MostChildren, int[] Inner, int[] ParentsOfInner);

    // One sequence's tree as it grows. A draw may give fewer choices than there are ranks: what has no token, and what would hang from it, is left out.
    private sealed class GrowingTree
    {
        private readonly List<Candidate> _candidates = [];
        private int?[] _above = [-1];     // candidate of each node above that has children; null: left out
        private int?[] _level = [];       // candidate of each node of this level

        public int[] Tokens(int[] inner) => [.. inner.Select(i => _level[i] is { } at ? _candidates[at].Token : 0)];

        public void Add(Level level, IReadOnlyList<Choice[]> choices, int firstRow)
        {
            var placed = new int?[level.Nodes.Length];
            for (var i = 0; i < placed.Length; i++)
            {
                var (rank, place, parent) = level.Nodes[i];
                if (_above[parent] is not { } above) continue;
                var row = choices[firstRow + parent];
                // Draws are judged in the order they were drawn: to leave one out would bend the distribution of those after it.
                var at = row.Length > 0 && row[0].Distribution is not null ? place : rank;
                if (at >= row.Length) continue;
                placed[i] = _candidates.Count;
                _candidates.Add(new Candidate(row[at].Token, above, row[at].Q, row[at].Distribution));
            }
            _level = placed;
            _above = [.. level.Inner.Select(i => placed[i])];
        }

        public Draft Draft() => new([.. _candidates]);
    }
}
