using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Tests.Decoding;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Drafting.Trees;

public sealed class DynamicTreeTests
{
    private const int Vocabulary = 7;

    [Theory, InlineData(12, 3, 3), InlineData(60, 4, 7), InlineData(2, 1, 1), InlineData(9, 8, 1), InlineData(30, 2, 4)]
    public void The_tree_is_the_best_of_all_that_a_beam_sees(int tokens, int levels, int topK)
    {
        using var scope = NewDisposeScope();
        var table = randn([Vocabulary, Vocabulary], generator: new Generator((ulong)tokens)) * 2;
        int[] roots = [3, 0, 6];
        var drafter = new ToyDrafter(table, roots);
        var drafts = drafter.Propose(new DynamicTree { Tokens = tokens, Levels = levels, TopK = topK },
            new GreedySampler(false));
        var logs = table.log_softmax(-1);
        for (var b = 0; b < roots.Length; b++)
        {
            var expected = Expected(logs, roots[b], levels, topK).OrderByDescending(n => n.Score).Take(tokens - 1).ToArray();
            var paths = PathsOf(drafts[b]);
            Assert.Equal(expected.Select(n => string.Join(' ', n.Path)).Order(StringComparer.Ordinal),
                paths.Order(StringComparer.Ordinal));
            Assert.All(drafts[b].Candidates, (c, i) => Assert.True(c.Parent < i));
            foreach (var siblings in drafts[b].Candidates.GroupBy(c => c.Parent))
                Assert.Equal(siblings.OrderByDescending(c => c.Q), siblings);
            Assert.All(drafts[b].Candidates, c => Assert.Null(c.Distribution));
        }
        Assert.Equal(levels - 1, drafter.Calls.Count);
    }

    [Fact]
    public void A_certain_head_gives_a_chain_whose_ties_keep_parents_first()
    {
        using var scope = NewDisposeScope();
        // Log-probabilities of exactly 0: all scores on the chain tie.
        var table = full([Vocabulary, Vocabulary], -1e4f);
        for (var t = 0; t < Vocabulary; t++) table[t, (t + 1) % Vocabulary] = 1e4f;
        var draft = new ToyDrafter(table, [0])
            .Propose(new DynamicTree { Tokens = 6, Levels = 5, TopK = 2 }, new GreedySampler(false))[0];
        Assert.Equal([(1, -1), (2, 0), (3, 1), (4, 2), (5, 3)], draft.Candidates.Select(c => (c.Token, c.Parent)));
        Assert.All(draft.Candidates, c => Assert.Equal(1f, c.Q));
    }

    [Fact]
    public void With_medusa_scores_add_up_over_the_heads()
    {
        using var head = PlainDecoding.RecordedHead();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var drafter = (LevelDrafter)head.NewDrafter(ShippedModels.Nano, 1, 64);
        var hidden = randn([1, 1, ShippedModels.Nano.Config.HiddenSize], generator: new Generator(6));
        drafter.Extend(hidden, [[1, 2]]);
        var logs = ((MedusaHead)head).Logits(hidden[0], ShippedModels.Nano).squeeze(1).log_softmax(-1);   // [n,V]
        var draft = drafter.Propose(new DynamicTree { Tokens = 20, Levels = 4, TopK = 4 }, new GreedySampler(false))[0];
        var expected = Expected(depth => logs[depth], 4, 4).OrderByDescending(n => n.Score).Take(19);
        Assert.Equal(expected.Select(n => string.Join(' ', n.Path)).Order(StringComparer.Ordinal),
            PathsOf(draft).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Options_left_open_are_chosen_for_the_head()
    {
        Assert.Equal(4, new DynamicTree().FitTo(4).Depth);
        Assert.Equal(7, new DynamicTree().FitTo(16).Depth);
        Assert.Equal(9, new DynamicTree { Levels = 9 }.FitTo(4).Depth);   // refused by the decoder
        Assert.Equal(59, new DynamicTree().Nodes);
    }

    [Theory]
    [InlineData(1, 3, 3, "tree.tokens"), InlineData(258, 3, 3, "tree.tokens"), InlineData(9, 0, 3, "tree.levels")]
    [InlineData(9, 3, 0, "tree.topK"), InlineData(9, 3, 65, "tree.topK")]
    public void Values_out_of_range_are_refused_by_name(int tokens, int levels, int topK, string name)
    {
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        var options = new GenerationOptions { Tree = new DynamicTree { Tokens = tokens, Levels = levels, TopK = topK } };
        Assert.Equal(name, Assert.Throws<KoalaException>(() => decoder.Generate([1], options)).Where);
    }

    private sealed record Node(int[] Path, double Score);

    private static List<Node> Expected(Tensor logs, int root, int levels, int topK) =>
        Grown(path => logs[path.Length == 0 ? root : path[^1]], levels, topK);

    private static List<Node> Expected(Func<int, Tensor> byDepth, int levels, int topK) =>
        Grown(path => byDepth(path.Length), levels, topK);

    private static List<Node> Grown(Func<int[], Tensor> after, int levels, int topK)
    {
        var (all, beam) = (new List<Node>(), new List<Node> { new([], 0) });
        for (var level = 0; level < levels; level++)
        {
            var children = beam.SelectMany(n =>
                after(n.Path)
                    .data<float>()
                    .ToArray()
                    .Select((log, token) => new Node([.. n.Path, token], n.Score + log))
                    .OrderByDescending(c => c.Score)
                    .Take(topK))
                .ToList();
            all.AddRange(children);
            beam = [.. children.OrderByDescending(c => c.Score).Take(topK)];
        }
        return all;
    }

    private static List<string> PathsOf(Draft draft)
    {
        var paths = new List<string>();
        foreach (var c in draft.Candidates) paths.Add(c.Parent < 0 ? $"{c.Token}" : $"{paths[c.Parent]} {c.Token}");
        return paths;
    }
}
