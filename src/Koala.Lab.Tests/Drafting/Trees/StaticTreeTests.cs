using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Runtime;
using Koala.Lab.Tests.Decoding;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Drafting.Trees;

public sealed class StaticTreeTests
{
    private const int Vocabulary = 6;

    [Theory]
    [InlineData("mc_sim_7b_63", 63, new[] { 10, 28, 23, 2 }, 42)]
    [InlineData("eagle-1", 25, new[] { 4, 8, 8, 3, 2 }, 15)]
    public void Published_trees_have_their_published_sizes(string name, int nodes, int[] byDepth, int leaves)
    {
        var tree = StaticTree.Find(name);
        Assert.Equal((name, nodes, byDepth.Length), (tree.Name, tree.Nodes, tree.Depth));
        Assert.Equal(byDepth, tree.Paths.GroupBy(p => p.Count).OrderBy(g => g.Key).Select(g => g.Count()));
        Assert.Equal(leaves,
            tree.Paths.Count(path =>
                !tree.Paths.Any(p => p.Count == path.Count + 1 && p.Take(path.Count).SequenceEqual(path))));
    }

    [Fact]
    public void A_saved_tree_is_read_as_it_was()
    {
        using var folder = new TemporaryFolder();
        var tree = StaticTree.Find("eagle-1");
        tree.Save(folder.At("tree.json"));
        Assert.Equal(tree.Paths, StaticTree.Find(folder.At("tree.json")).Paths);
    }

    [Theory]
    [InlineData("[[0],[1,0]]", "has [1,0], but not its parent [1]")]
    [InlineData("[[0],[0,2,1]]", "has [0,2,1], but not its parent [0,2]")]
    [InlineData("[[0],[1],[0]]", "has [0] twice")]
    [InlineData("[[0],[]]", "has an empty path")]
    [InlineData("[[0],null]", "has an empty path")]
    [InlineData("[[0],[0,-1]]", "[0,-1] has a negative rank")]
    [InlineData("[]", "has 0 nodes")]
    [InlineData("null", "has 0 nodes")]
    [InlineData("[[0.5]]", "is no JSON list of paths")]
    [InlineData("[[\"0\"]]", "is no JSON list of paths")]
    [InlineData("{\"paths\":[]}", "is no JSON list of paths")]
    [InlineData("[[0],", "is no JSON list of paths")]
    [InlineData("", "is no JSON list of paths")]
    [InlineData("[[99999999999]]", "is no JSON list of paths")]
    public void A_file_that_holds_no_tree_is_refused_in_one_line(string json, string fault)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("tree.json"), json);
        var refused = Assert.Throws<KoalaException>(() => StaticTree.Find(folder.At("tree.json")));
        Assert.Equal(folder.At("tree.json"), refused.Where);
        Assert.StartsWith(fault, refused.Fault, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Fact]
    public void The_largest_tree_has_256_nodes_and_one_more_is_refused()
    {
        Assert.Equal(256, new StaticTree("wide", Enumerable.Range(0, 256).Select(i => new[] { i })).Nodes);
        Assert.Contains("has 257 nodes",
            Assert.Throws<KoalaException>(() =>
                new StaticTree("wide", Enumerable.Range(0, 257).Select(i => new[] { i }))).Fault);
        Assert.Contains("no tree has that name", Assert.Throws<KoalaException>(() => StaticTree.Find("eagle-9")).Fault);
    }

    [Fact]
    public void A_tree_deeper_than_the_heads_draft_length_is_refused()
    {
        using var head = DraftHead.Create(new MedusaOptions { Heads = 3 }, ShippedModels.Nano);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var refused = Assert.Throws<KoalaException>(() =>
            decoder.Generate([1, 2], new GenerationOptions { Tree = StaticTree.Find("mc_sim_7b_63") }));
        Assert.Equal("tree", refused.Where);
        Assert.Contains("4 levels deep", refused.Fault);
    }

    [Fact]
    public void Greedy_nodes_are_the_choices_of_their_ranks_and_only_parents_are_expanded()
    {
        using var scope = NewDisposeScope();
        var table = randn([Vocabulary, Vocabulary], generator: new Generator(3));
        // in any order, and with gaps in the ranks
        var tree = new StaticTree("t", [[1], [0], [0, 2], [3, 0], [3], [0, 0], [3, 0, 1], [0, 2, 0]]);
        var drafter = new ToyDrafter(table, [2, 5]);
        var drafts = drafter.Propose(tree, new GreedySampler(true));
        for (var b = 0; b < 2; b++)
        {
            Assert.Equal(tree.Paths.Count, drafts[b].Candidates.Count);
            for (var i = 0; i < tree.Paths.Count; i++)
            {
                var token = b == 0 ? 2 : 5;
                foreach (var rank in tree.Paths[i]) token = Ranked(table, token)[rank];
                Assert.Equal(token, drafts[b].Candidates[i].Token);
                var parent = tree.Paths[i].Count == 1
                    ? -1
                    : tree.Paths.ToList().FindIndex(p => p.SequenceEqual(tree.Paths[i].SkipLast(1)));
                Assert.Equal(parent, drafts[b].Candidates[i].Parent);
                Assert.Null(drafts[b].Candidates[i].Distribution);
                var before = parent < 0 ? (b == 0 ? 2 : 5) : drafts[b].Candidates[parent].Token;
                Tolerance.AssertClose(table[before].softmax(-1)[token].item<float>(), drafts[b].Candidates[i].Q!.Value,
                    2 * Vocabulary);
            }
            Assert.Equal(3, drafts[b].Depth);
        }
        // Inner nodes: [0] and [3], then [0,2] and [3,0].
        Assert.Equal(2, drafter.Calls.Count);
        Assert.Equal([0, 0], drafter.Calls[0].Parents[1]);
        Assert.Equal([0, 1], drafter.Calls[1].Parents[1]);
        Assert.Equal([1, 2, 2], tree.Widths);
    }

    [Fact]
    public void Drawn_children_differ_share_their_distribution_and_come_in_drawing_order()
    {
        using var scope = NewDisposeScope();
        var table = randn([Vocabulary, Vocabulary], generator: new Generator(4));
        var options = new GenerationOptions { Temperature = 0.8 };
        var tree = new StaticTree("t", [[0], [1], [2], [0, 0], [0, 1], [1, 0], [1, 1]]);
        var counts = new int[Vocabulary];
        const int Sequences = 4000;
        RandomSource random = RandomStreams.Create(1, 1);
        var drafts = new ToyDrafter(table, [.. Enumerable.Repeat(1, Sequences)])
            .Propose(tree, new MultinomialSampler(options, [.. Enumerable.Repeat(random, Sequences)]));
        var rows = Distributions.FromLogits(table, options);
        foreach (var draft in drafts)
        {
            counts[draft.Candidates[0].Token]++;
            foreach (var siblings in draft.Candidates.GroupBy(c => c.Parent))
            {
                Assert.Equal(siblings.Count(), siblings.Select(c => c.Token).Distinct().Count());
                Assert.All(siblings, c => Assert.Same(siblings.First().Distribution, c.Distribution));
                var row = rows[siblings.Key < 0 ? 1 : draft.Candidates[siblings.Key].Token];
                Assert.Equal(row, siblings.First().Distribution!, (a, b) => Math.Abs(a - b) < Tolerance.Of(1, 2 * Vocabulary));
            }
        }
        // The frequencies of the first token drawn follow q.
        for (var t = 0; t < Vocabulary; t++)
            Assert.InRange(counts[t], Sequences * rows[1][t] - 160, Sequences * rows[1][t] + 160);
    }

    /// <summary>
    /// Top-p may leave fewer tokens than a node has children; the nodes below missing children are missing too.
    /// </summary>
    [Fact]
    public void A_distribution_of_few_tokens_leaves_nodes_out()
    {
        using var scope = NewDisposeScope();
        var table = tensor(new float[] { 9, 0, 0, 0, 8.9f, 0, 0, 0, 9 }).view(3, 3);   // 0 after 0; 1 after 1; 2 after 2
        var tree = new StaticTree("t", [[0], [1], [0, 0], [1, 0], [1, 0, 0]]);
        var options = new GenerationOptions { Temperature = 1, TopP = 0.9 };
        var chooser = new MultinomialSampler(options, [RandomStreams.Create(0, 0), RandomStreams.Create(0, 1)]);
        var drafts = new ToyDrafter(table, [0, 2]).Propose(tree, chooser);
        Assert.Equal([(0, -1), (0, 0)], drafts[0].Candidates.Select(c => (c.Token, c.Parent)));
        Assert.Equal([(2, -1), (2, 0)], drafts[1].Candidates.Select(c => (c.Token, c.Parent)));
    }

    [Fact]
    public void A_draft_vocabulary_gives_ids_and_distributions_of_the_target()
    {
        using var scope = NewDisposeScope();
        var table = randn([4, 4], generator: new Generator(5));
        var vocabulary = new DraftVocabulary([1, 3, 5, 9], 12);
        var tree = new StaticTree("t", [[0], [1], [0, 0], [0, 1]]);
        var best = new ToyDrafter(table, [5], vocabulary).Propose(tree, new GreedySampler(false))[0];
        Assert.Equal(vocabulary.Tokens[Ranked(table, 2)[1]], best.Candidates[1].Token);
        var chooser = new MultinomialSampler(new GenerationOptions { Temperature = 1 }, [RandomStreams.Create(0, 0)]);
        var drawn = new ToyDrafter(table, [5], vocabulary).Propose(tree, chooser)[0];
        Assert.Equal(12, drawn.Candidates[0].Distribution!.Length);
        Assert.Same(drawn.Candidates[0].Distribution, drawn.Candidates[1].Distribution);
        var inVocabulary = drawn.Candidates[0].Distribution!.Where((_, i) => vocabulary.Tokens.Contains(i)).Sum();
        Tolerance.AssertClose(1, inVocabulary, 2 * vocabulary.Tokens.Count);
        Assert.All(drawn.Candidates, c => Assert.Contains(c.Token, vocabulary.Tokens));
        var dynamic = new ToyDrafter(table, [5], vocabulary)
            .Propose(new DynamicTree { Tokens = 5, TopK = 2, Levels = 2 }, new GreedySampler(false))[0];
        Assert.Equal(best.Candidates[0].Token, dynamic.Candidates[0].Token);
    }

    [Fact]
    public void Medusas_levels_do_not_depend_on_the_parents()
    {
        using var head = PlainDecoding.RecordedHead();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var drafter = (LevelDrafter)head.NewDrafter(ShippedModels.Nano, 2, 64);
        var hidden = randn([2, 3, ShippedModels.Nano.Config.HiddenSize], generator: new Generator(6));
        drafter.Extend(hidden, [[1, 2, 3, 4], [1, 2]]);
        var logits = ((MedusaHead)head).Logits(stack([hidden[0, 2], hidden[1, 0]]), ShippedModels.Nano);   // [n,B,V]
        var tree = new StaticTree("t", [[0], [1], [2], [0, 0], [1, 1], [1, 0], [2, 0], [2, 0, 0]]);
        var drafts = drafter.Propose(tree, new GreedySampler(false));
        for (var b = 0; b < 2; b++)
            for (var i = 0; i < tree.Paths.Count; i++)
                Assert.Equal((int)logits[tree.Paths[i].Count - 1, b].topk(3).indexes[tree.Paths[i][^1]].item<long>(),
                    drafts[b].Candidates[i].Token);
    }

    private static int[] Ranked(Tensor table, int token) =>
        [.. table[token].argsort(-1, descending: true).data<long>().Select(t => (int)t)];
}
