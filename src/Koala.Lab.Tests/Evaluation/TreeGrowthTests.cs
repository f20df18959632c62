using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.TreeFitting;

namespace Koala.Lab.Tests.Evaluation;

public sealed class TreeGrowthTests
{
    // Ten positions of one answer.
    private static readonly RankPaths s_paths =
        new(3, [[[0, 0, 0], [0, 0, 1], [0, 0], [0, 2], [0], [1, 0, 0], [1], [3], [], []]]);

    [Fact]
    public void Each_node_is_on_the_most_paths_among_those_whose_parent_is_in_the_tree() =>
        Assert.Equal(["0", "0,0", "1", "3", "0,2", "1,0", "0,0,0", "0,0,1", "1,0,0"],
            TreeGrowth.Grow(s_paths, 99, 3).Select(Text));

    [Fact]
    public void A_shallow_tree_and_a_small_one_take_the_same_order()
    {
        Assert.Equal(["0", "1", "3"], TreeGrowth.Grow(s_paths, 99, 1).Select(Text));
        Assert.Equal(["0", "0,0", "1"], TreeGrowth.Grow(s_paths, 3, 3).Select(Text));
        Assert.Empty(TreeGrowth.Grow(new RankPaths(3, [[[], []]]), 5, 3));
    }

    [Theory, InlineData(1), InlineData(2), InlineData(3)]
    public void On_random_paths_no_parent_is_ever_missing_and_no_node_adds_more_than_the_one_before(int seed)
    {
        var paths = Random(seed);
        for (var depth = 1; depth <= 5; depth++)
        {
            var grown = TreeGrowth.Grow(paths, 80, depth);
            Assert.Equal(depth == 1 ? 10 : 80, grown.Count);
            // The constructor refuses a node without its parent.
            for (var nodes = 1; nodes <= grown.Count; nodes++)
                Assert.Equal(nodes, new StaticTree("grown", [.. grown.Take(nodes)]).Nodes);
            var gains = grown.Select(node => PositionsOn(paths, node)).ToArray();
            Assert.Equal(gains.OrderDescending(), gains);
            Assert.All(grown, path => Assert.InRange(path.Count, 1, depth));
        }
    }

    /// <summary>
    /// Greedy growth is optimal here: what a node adds does not depend on the other nodes, and a child never adds more
    /// than its parent.
    /// </summary>
    [Fact]
    public void No_other_tree_with_as_many_nodes_is_correct_at_more_positions()
    {
        var all = TreeGrowth.Grow(s_paths, 99, 3);
        for (var nodes = 1; nodes <= all.Count; nodes++)
        {
            var best = Enumerable.Range(0, 1 << all.Count)
                .Select(bits => all.Where((_, i) => (bits >> i & 1) == 1).ToArray())
                .Where(tree => tree.Length == nodes
                    && tree.All(path => path.Count == 1 || tree.Any(other => other.SequenceEqual(path.SkipLast(1)))))
                .Max(tree => tree.Sum(path => PositionsOn(s_paths, path)));
            Assert.Equal(best, TreeGrowth.Grow(s_paths, nodes, 3).Sum(path => PositionsOn(s_paths, path)));
        }
    }

    [Fact]
    public void The_acceptance_length_follows_the_rounds()
    {
        static StaticTree Tree(params int[][] paths) => new("tree", paths);
        // Position 0 accepts three and jumps to 4; position 4 accepts one, to 6; 6 accepts one, to 8; 8 accepts none,
        // to 9; 9 accepts none, beyond the end.
        Assert.Equal((4 + 2 + 2 + 1 + 1) / 5.0, s_paths.AcceptanceLength(Tree([0], [0, 0], [0, 0, 0], [1])), 12);
        // Position 0 accepts one and jumps to 2; position 2 accepts one, to 4; 4 accepts one, to 6; from there on none
        // is accepted.
        Assert.Equal((2 + 2 + 2 + 1 + 1 + 1 + 1) / 7.0, s_paths.AcceptanceLength(Tree([0])), 12);
        Assert.Equal(1, s_paths.AcceptanceLength(Tree([9])));
        // Paths deeper or broader than what was collected occur nowhere.
        Assert.Equal(1, s_paths.AcceptanceLength(Tree([10], [7], [7, 0], [7, 0, 0], [7, 0, 0, 0])));
        Assert.True(double.IsNaN(new RankPaths(3, [[]]).AcceptanceLength(Tree([0]))));
    }

    [Fact]
    public void A_family_costs_what_was_timed_and_is_interpolated_in_between()
    {
        var family = TreeFamily.Create(TreeGrowth.Grow(s_paths, 9, 2), 2, [1, 4, 8])!;
        Assert.Equal("2: 2 4 6", $"{family.First}: {string.Join(' ', family.Measured.Select(tree => tree.Nodes))}");
        var cost = new StepCost(1,
            [.. family.Measured.Select((tree, i) => new TreeCost(tree, tree.Nodes, i, 10, 0)),
                new TreeCost(new ChainTree(3), 3, 500, 500, 0)]);
        var fitted = family.Fit(s_paths, cost).ToArray();
        Assert.Equal([2, 3, 4, 5, 6], fitted.Select(tree => tree.Nodes));
        Assert.All(fitted, tree => Assert.Equal(2, tree.Depth));
        Assert.Equal([10, 10.5, 11, 11.5, 12], fitted.Select(tree => tree.RoundMs));
        Assert.All(fitted,
            tree => Assert.Equal(s_paths.AcceptanceLength(new StaticTree("tree", tree.Paths)), tree.AcceptanceLength));
        Assert.All(fitted, tree => Assert.Equal(1000 * tree.AcceptanceLength / tree.RoundMs, tree.TokensPerSecond));
        Assert.Null(TreeFamily.Create(TreeGrowth.Grow(s_paths, 2, 3), 3, [1]));
        Assert.Equal([1, 2, 3], TreeFamily.Chains(3).Grown.Select(path => path.Count));
    }

    private static RankPaths Random(int seed)
    {
        var random = new Random(seed);
        // Most ranks are small, as they are for a head.
        int Rank() => (int)(10 * Math.Pow(random.NextDouble(), 2.5));
        return new RankPaths(5,
            [.. Enumerable.Range(0, 5)
                .Select(_ =>
                    Enumerable.Range(0, 200)
                        .Select(_ => Enumerable.Range(0, random.Next(6)).Select(_ => Rank()).ToArray())
                        .ToArray())]);
    }

    private static int PositionsOn(RankPaths paths, IReadOnlyList<int> node) =>
        paths.Answers.SelectMany(a => a).Count(path => path.Take(node.Count).SequenceEqual(node));

    private static string Text(IReadOnlyList<int> path) => string.Join(',', path);
}
