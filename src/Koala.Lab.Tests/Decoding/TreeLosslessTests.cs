using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Targets;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// Greedy decoding with trees: the same tokens as the baseline, contexts that fill up, batches, and the trace of trees.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Sampled)]
public sealed class TreeLosslessTests
{
    private const int Tokens = 20;

    private static readonly Dictionary<string, DraftTree> s_shapes = new()
    {
        ["mc_sim_7b_63"] = StaticTree.Find("mc_sim_7b_63"),
        ["wide"] = new StaticTree("wide",
            [.. Enumerable.Range(0, 12).Select(i => new[] { i }), [3, 0], [11, 0], [11, 0, 0], [11, 0, 1]]),
        ["dynamic"] = new DynamicTree { Tokens = 24, TopK = 5 },
        ["dynamic, large"] = new DynamicTree(),
    };

    public static TheoryData<string> Shapes => [.. s_shapes.Keys];

    [Theory, MemberData(nameof(Shapes)), Trait(PromptSample.Category, PromptSample.Numeric)]
    public void Trees_change_nothing_on_nano(string shape)
    {
        var accepted = 0;
        foreach (var make in (Func<DraftHead>[])[PlainDecoding.RecordedHead,
            () => PlainDecoding.RandomHead(ShippedModels.Nano, 3)])
        {
            using var head = make();
            accepted += PlainDecoding.Sample(ShippedModels.Nano, few: 4, questions: 12, below: 400)
                .Sum(prompt => AssertLossless(ShippedModels.Nano, head, prompt, s_shapes[shape]));
        }
        Assert.NotEqual(0, accepted);
    }

    [Theory, MemberData(nameof(Shapes)), Trait(PromptSample.Category, PromptSample.Numeric)]
    public void Trees_change_nothing_on_mini(string shape)
    {
        using var head = PlainDecoding.RandomHead(ShippedModels.Mini, 1);
        foreach (var prompt in PlainDecoding.Sample(ShippedModels.Mini, few: 2, questions: 5, below: 300))
            AssertLossless(ShippedModels.Mini, head, prompt, s_shapes[shape]);
    }

    /// <summary>Paths of every kind follow each other, so anything left in the cache by mistake would show.</summary>
    [Fact]
    public void A_tree_that_is_correct_on_a_changing_path_changes_nothing()
    {
        var kept = new HashSet<string>();
        foreach (var prompt in Golden.Prompts("koala-nano").Select(p => p.Ids))
        {
            int[] expected = [.. PlainDecoding.Greedy(ShippedModels.Nano, prompt, 60), .. new int[8]];
            using var source = new ScriptedTrees(prompt.Length, expected);
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, source) { ChooseDraftLength = false };
            var answer = decoder.Generate(prompt, new GenerationOptions { MaxTokens = 48, Tree = s_shapes["wide"] });
            Assert.Equal(PlainDecoding.Answer(ShippedModels.Nano, prompt, 48), answer.Tokens);
            kept.UnionWith(answer.Rounds.Select(r =>
                string.Join(' ', r.Levels!.Where(l => l.Kept is not null).Select(l => l.Kept))));
        }
        Assert.True(kept.Count >= 4, string.Join(" | ", kept));
    }

    [Theory, InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(6), InlineData(11), InlineData(40)]
    public void A_context_that_fills_up_ends_the_answer_at_the_last_token_that_fits(int room)
    {
        var some = Golden.Prompts("koala-nano")[7].Ids;
        int[] prompt = [.. Enumerable.Range(0, ShippedModels.Nano.Config.ContextLength - room)
            .Select(i => some[i % some.Length])];
        var expected = PlainDecoding.Answer(ShippedModels.Nano, prompt, room);
        using var head = PlainDecoding.RecordedHead();
        foreach (var tree in s_shapes.Values)
        {
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
            Assert.Equal(expected, decoder.Generate(prompt, new GenerationOptions { MaxTokens = 300, Tree = tree }).Tokens);
            var sampled = decoder.Generate(prompt, new GenerationOptions { MaxTokens = 300, Tree = tree, Temperature = 1 });
            Assert.InRange(sampled.Tokens.Count, 1, room);
            if (sampled.FinishReason == FinishReason.Length) Assert.Equal(room, sampled.Tokens.Count);
        }
    }

    [Theory, Trait(PromptSample.Category, PromptSample.Numeric)]
    [InlineData("mc_sim_7b_63", 0), InlineData("mc_sim_7b_63", 1), InlineData("wide", 0.7), InlineData("dynamic", 0)]
    [InlineData("dynamic", 1)]
    public void Answers_of_a_batch_equal_those_of_single_prompts(string shape, double temperature)
    {
        var options = new GenerationOptions { MaxTokens = 24, Tree = s_shapes[shape], Temperature = temperature };
        IReadOnlyList<int>[] prompts = [.. Golden.Prompts("koala-nano").Take(4).Select(p => p.Ids)];
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var together = decoder.GenerateAll(prompts, options);
        for (var b = 0; b < prompts.Length; b++)
            Assert.Equal(decoder.Generate(prompts[b], options with { Stream = b }).Tokens, together[b].Tokens);
    }

    [Fact]
    public void A_full_trace_of_trees_gives_parents_and_the_accepted_path()
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        foreach (var tree in s_shapes.Values)
            foreach (var temperature in (double[])[0, 0.8])
            {
                var answer = decoder.Generate(Golden.Prompts("koala-nano")[0].Ids,
                    new GenerationOptions { MaxTokens = 30, Tree = tree, Temperature = temperature, FullTrace = true });
                foreach (var round in answer.Rounds)
                {
                    var kept = round.Candidates!.Where(c => c.Accepted).ToArray();
                    Assert.Equal(round.Accepted, kept.Length);
                    var at = -1;
                    foreach (var c in kept)
                    {
                        Assert.Equal(at, c.Parent);
                        at = round.Candidates!.ToList().IndexOf(c);
                    }
                    Assert.Equal(round.Accepted, round.Levels!.Count(l => l.Kept is not null));
                    Assert.All(round.Candidates!, c => Assert.InRange(c.Q, 0, 1));
                }
            }
    }

    [Fact]
    public void Tree_node_acceptance_counts_children_of_nodes_that_were_reached()
    {
        Round Of(params LevelAcceptance[] levels) =>
            new(9, levels.Count(l => l.Kept is not null), 1, 1, 1) { Depth = 2, Levels = levels };
        var trace = new DecodingTrace([Of(new(3, 0), new(2, 1)), Of(new(3, 0), new(1, null)),
            Of(new LevelAcceptance(3, null)), Of(new LevelAcceptance(3, 2))]);
        Assert.Equal([[0.5, 0, 0.25], [0, 1]], trace.TreeNodeAcceptance!);
        Assert.Contains("accepted at depth 1, by child rank: 0.50  0.00  0.25", trace.ToTable(), StringComparison.Ordinal);
        Assert.Null(new DecodingTrace([new Round(3, 2, 1, 1, 1)]).TreeNodeAcceptance);
    }

    private static int AssertLossless(Target target, DraftHead head, int[] prompt, DraftTree tree)
    {
        using var decoder = new SpeculativeDecoder(target, head) { ChooseDraftLength = false };
        var speculative = decoder.Generate(prompt, new GenerationOptions { MaxTokens = Tokens, Tree = tree });
        var expected = PlainDecoding.Answer(target, prompt, Tokens);
        Assert.Equal(expected, speculative.Tokens);
        return speculative.Rounds.Sum(r => r.Accepted);
    }

    // Fills a shape with the correct tokens along one of its paths, a different one every round, and wrong tokens
    // elsewhere.
    private sealed class ScriptedTrees(int prompt, int[] expected) : IDraftSource, IDisposable
    {
        public int MaxDraftLength => 4;

        public IReadOnlyList<int> FeatureLayers => [];

        public Drafter NewDrafter(Target target, int batch, int capacity) => new Scripted(this);

        public void Dispose()
        {
        }

        private sealed class Scripted(ScriptedTrees trees) : Drafter
        {
            private int _extended;
            private int _round;

            public override int MaxDraftLength => 4;

            public override void Extend(TorchSharp.torch.Tensor features, IReadOnlyList<int[]> tokens) =>
                _extended += tokens[0].Length - 1;

            public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler)
            {
                var (paths, done) = (((StaticTree)tree).Paths, _extended + 1 - trees.Prompt);
                var correct = paths[_round++ * 7 % paths.Count];
                return [new Draft([.. paths.Select(path =>
                {
                    var onPath = path.Count <= correct.Count && path.SequenceEqual(correct.Take(path.Count));
                    var token = (trees.Expected[done + path.Count - 1] + (onPath ? 0 : 1 + path[^1])) % 512;
                    return new Candidate(token,
                        path.Count == 1 ? -1 : paths.ToList().FindIndex(p => p.SequenceEqual(path.SkipLast(1))), 1,
                        null);
                })])];
            }
        }

        private int Prompt => prompt;

        private int[] Expected => expected;
    }
}
