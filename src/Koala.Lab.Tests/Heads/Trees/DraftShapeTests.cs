using Koala.Lab.Decoding;
using Koala.Lab.Heads.Trees;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads.Trees;

public sealed class DraftShapeTests
{
    // Of each token the next one's probabilities; all different, so that ranks are plain.
    private static readonly float[][] s_q =
    [
        [0.05f, 0.50f, 0.30f, 0.15f],
        [0.40f, 0.10f, 0.20f, 0.30f],
        [0.35f, 0.25f, 0.28f, 0.12f],
        [0.70f, 0.15f, 0.10f, 0.05f],
    ];

    [Fact]
    public void A_static_tree_has_the_ranks_that_its_paths_name()
    {
        using var scope = NewDisposeScope();
        using var drafter = new ToyDrafter(s_q);
        var tree = new StaticShape("t", [[0], [2], [0, 0], [2, 1], [0, 0, 1]]);
        var draft = Assert.Single(drafter.Propose(tree, new BestChooser(true)));
        // Root 0: best 1, third 3. After 1: best 0. After 3: second 1. After 0: second 2.
        Assert.Equal([1, 3, 0, 1, 2], draft.Candidates.Select(c => c.Token));
        Assert.Equal([-1, -1, 0, 1, 2], draft.Candidates.Select(c => c.Parent));
        Assert.Equal([0.5f, 0.15f, 0.4f, 0.15f, 0.3f], draft.Candidates.Select(c => MathF.Round(c.Q!.Value, 5)));
        // Only candidates with children are asked about.
        Assert.Equal([[1, 3], [0]], drafter.Levels.Select(l => l.Tokens));
        Assert.Equal([[0, 0], [0]], drafter.Levels.Select(l => l.Parents));
    }

    [Theory]
    [InlineData("mc_sim_7b_63", 63, 4, new[] { 10, 28, 23, 2 })]
    [InlineData("eagle-1", 25, 5, new[] { 4, 8, 8, 3, 2 })]
    public void Published_trees_have_their_published_sizes(string name, int nodes, int depth, int[] byLevel)
    {
        var tree = PublishedTrees.All.Single(t => t.Name == name);
        Assert.Equal((nodes, depth), (tree.Nodes, tree.Depth));
        Assert.Equal(byLevel, tree.Paths.GroupBy(p => p.Count).OrderBy(g => g.Key).Select(g => g.Count()));
    }

    [Fact]
    public void Drawn_siblings_are_the_first_draws_and_share_their_distribution()
    {
        using var scope = NewDisposeScope();
        using var drafter = new ToyDrafter(s_q);
        var options = new GenerationOptions { Temperature = 1 };
        var draft = Assert.Single(drafter.Propose(new StaticShape("t", [[0], [2], [3]]), new DrawingChooser(options, [Draw.Source(1, 0)])));
        Assert.Equal(3, draft.Candidates.Select(c => c.Token).Distinct().Count());
        Assert.All(draft.Candidates, c => Assert.Same(draft.Candidates[0].Distribution, c.Distribution));
        // The third and fourth best are asked for, but the second and third draw stand there: to skip one would bend the others' distribution.
        var random = Draw.Source(1, 0);
        var choices = new DrawingChooser(options, [random]).Choose(drafter.First(), 3)[0];
        Assert.Equal(choices.Select(c => c.Token), draft.Candidates.Select(c => c.Token));
    }

    [Fact]
    public void A_tree_with_more_ranks_than_tokens_to_draw_is_what_there_is()
    {
        using var scope = NewDisposeScope();
        using var drafter = new ToyDrafter([[0.5f, 0, 0.5f, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]);
        var tree = new StaticShape("t", [[0], [1], [2], [0, 0], [0, 1], [2, 0], [2, 0, 0]]);
        var draft = Assert.Single(drafter.Propose(tree, new DrawingChooser(new GenerationOptions { Temperature = 1 }, [Draw.Source(0, 0)])));
        Assert.Equal([-1, -1, 0], draft.Candidates.Select(c => c.Parent));
    }

    [Fact]
    public void A_dynamic_tree_keeps_the_candidates_with_the_highest_scores()
    {
        using var scope = NewDisposeScope();
        using var drafter = new ToyDrafter(s_q);
        var draft = Assert.Single(drafter.Propose(new DynamicShape { Tokens = 6, Levels = 3, TopK = 2 }, new BestChooser(false)));
        // By hand: level 1: 1 (.5), 2 (.3). Level 2: 1-0 (.2), 1-3 (.15), 2-0 (.105), 2-2 (.084); beam 1-0, 1-3. Level 3: 1-0-1 (.1), 1-0-2 (.06), 1-3-0 (.105), 1-3-1 (.0225).
        Assert.Equal([(1, -1), (2, -1), (0, 0), (3, 0), (0, 1), (0, 3)], draft.Candidates.Select(c => (c.Token, c.Parent)));
        Assert.Equal([[1, 2], [0, 3]], drafter.Levels.Select(l => l.Tokens));
        Assert.Equal([[0, 0], [0, 0]], drafter.Levels.Select(l => l.Parents));
        Assert.All(draft.Candidates, c => Assert.Null(c.Distribution));
    }

    [Theory]
    [InlineData("[[0],[0,1],[1,0]]", "path [1,0] has no parent [1]")]
    [InlineData("[[0],[1],[0]]", "path [0] comes twice")]
    [InlineData("[[0],[]]", "has an empty path, but the root is no candidate")]
    [InlineData("[[0],[-1]]", "path [-1] has a negative rank")]
    [InlineData("[[0],[999]]", "path [999] has a rank of 999, but a node has at most 256 children")]
    [InlineData("[[0],null]", "cannot be read as a tree (a path is null)")]
    [InlineData("null", "cannot be read as a tree (it is null)")]
    [InlineData("{\"a\":1}", "cannot be read as a tree (")]
    [InlineData("[[0", "cannot be read as a tree (")]
    public void A_file_that_is_no_tree_is_refused_in_a_line(string text, string fault)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("tree.json"), text);
        var e = Assert.Throws<KoalaException>(() => TreeFile.Read(folder.At("tree.json")));
        Assert.Equal(folder.At("tree.json"), e.Where);
        Assert.StartsWith(fault, e.Fault, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void More_nodes_than_a_tree_may_have_are_refused() =>
        Assert.Contains("has 257 nodes", Assert.Throws<KoalaException>(() => new StaticShape("t", [.. Enumerable.Range(0, 257).Select(i => new[] { i })])).Message, StringComparison.Ordinal);

    [Fact]
    public void A_tree_is_read_as_it_was_written()
    {
        using var folder = new TemporaryFolder();
        TreeFile.Write(folder.At("mine.json"), PublishedTrees.Eagle1);
        var read = TreeFile.Read(folder.At("mine.json"));
        Assert.Equal("mine", read.Name);
        Assert.Equal(PublishedTrees.Eagle1.Paths, read.Paths);
    }
}
