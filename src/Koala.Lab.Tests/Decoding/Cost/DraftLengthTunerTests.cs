using System.Globalization;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding.Cost;

public sealed class DraftLengthTunerTests
{
    private static readonly int[] s_nodes = [1, 2, 4, 6];

    // The baseline takes 10 ms per token; each candidate costs this much more.
    private static StepCost Cost(double candidateMs, double roundMs = 0) => new(10,
        [.. s_nodes.Select(nodes =>
            new TreeCost(new ChainTree(nodes), nodes, nodes * candidateMs / 2, 10 + nodes * candidateMs / 2,
                roundMs))]);

    private static Round[] Rounds(int drafted, params int[] accepted) =>
        [.. accepted.Select(a => new Round(drafted, a, 0, 0, 0))];

    [Fact]
    public void A_round_between_two_measured_ones_is_interpolated()
    {
        var cost = Cost(2, roundMs: 1);
        Assert.Equal([10, 13, 15, 17, 19, 21, 23, 25], Enumerable.Range(0, 8).Select(cost.RoundMs));
        Assert.Equal(10, new StepCost(10, []).RoundMs(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new StepCost(10, []).RoundMs(1));
        Assert.Equal((13 + 19) / 2.0 / 10, cost.BreakEven([1, 4]), 12);
        Assert.Equal(1, cost.BreakEven([0]));
        Assert.True(double.IsNaN(cost.BreakEven([])));
    }

    [Fact]
    public void Cheap_candidates_are_drafted_to_the_limit_and_expensive_ones_hardly()
    {
        var rounds = Rounds(6, 0, 1, 2, 6, 6);
        Assert.Equal(6, DraftLengthTuner.Choose(Cost(0), rounds, 6).Length);
        // Four of five rounds accept a first candidate, three a second, two a third: at 4 ms each the third does not pay.
        var two = DraftLengthTuner.Choose(Cost(4), rounds, 6);
        Assert.Equal(2, two.Length);
        Assert.Equal((1 + 2 + 3 + 3 + 3) * 10 / (5 * 18.0), two.Speedup, 9);
        var one = DraftLengthTuner.Choose(Cost(20), rounds, 6);
        Assert.Equal(1, one.Length);
        Assert.True(one.Speedup < 1);
    }

    [Fact]
    public void Candidates_that_are_not_drafted_cost_nothing()
    {
        // Prompt lookup finds nothing in half of the rounds.
        Round[] rounds = [.. Rounds(0, 0, 0, 0), .. Rounds(6, 6, 6, 6)];
        var choice = DraftLengthTuner.Choose(Cost(1), rounds, 6);
        Assert.Equal(6, choice.Length);
        Assert.Equal((3 + 21) * 10 / (3 * 10.0 + 3 * 16), choice.Speedup, 9);
    }

    [Fact]
    public void Without_rounds_the_longest_is_taken()
    {
        Assert.Equal(6, DraftLengthTuner.Choose(Cost(1), [], 6).Length);
        Assert.True(double.IsNaN(DraftLengthTuner.Choose(Cost(1), [], 6).Speedup));
    }

    [Theory]
    [InlineData(0, new int[0]), InlineData(1, new[] { 1 }), InlineData(4, new[] { 1, 2, 3, 4 })]
    [InlineData(7, new[] { 1, 2, 3, 5, 7 }), InlineData(10, new[] { 1, 2, 3, 5, 7, 10 })]
    public void A_few_chains_represent_all(int longest, int[] expected) =>
        Assert.Equal(expected, StepCost.Chains(longest).Select(tree => tree.Depth));

    [Fact]
    public void It_measures_and_chooses_by_the_first_prompts()
    {
        using var source = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        var prompts = Golden.Prompts("koala-nano").Select(p => (IReadOnlyList<IReadOnlyList<int>>)[p.Ids]);
        var (choice, cost) = DraftLengthTuner.Measure(ShippedModels.Nano, source, prompts,
            new GenerationOptions { MaxTokens = 8 }, TimeSpan.FromSeconds(0.3), limits: DisturbanceLimits.None);
        Assert.InRange(choice.Length, 1, 10);
        Assert.True(choice.Speedup > 0);
        Assert.Equal(choice.Tree?.Nodes ?? 10, cost.Trees[^1].Nodes);
    }

    [Theory, InlineData(2, 2), InlineData(8, 3)]
    public void A_few_prompts_are_measured_however_short_the_time(int given, int expected)
    {
        using var head = PlainDecoding.RandomHead(ShippedModels.Nano, 1);
        var asked = 0;
        var prompts = Golden.Prompts("koala-nano")
            .Take(given)
            .Select(p => { asked++; return (IReadOnlyList<IReadOnlyList<int>>)[p.Ids]; });
        DraftLengthTuner.Measure(ShippedModels.Nano, head, prompts, new GenerationOptions { MaxTokens = 4 }, TimeSpan.Zero);
        Assert.Equal(expected, asked);
    }

    [Fact]
    public void The_first_prompts_are_from_all_parts_of_the_file()
    {
        Prompt[][] groups = [.. Enumerable.Range(0, 80).Select(i => new[] { new Prompt($"{i}", "", ["a"], null) })];
        var order = PromptGroups.Spread(groups).Select(group => int.Parse(group[0].Id, CultureInfo.InvariantCulture)).ToArray();
        Assert.Equal(order.Distinct(), order);
        Assert.Equal(8, order.Take(10).Select(i => i / 10).Distinct().Count());
        Assert.Equal(2, PromptGroups.Spread(groups[..2]).Count());
    }

    [Fact]
    public void A_head_that_drafts_less_is_asked_for_less()
    {
        using var head = PlainDecoding.RandomHead(ShippedModels.Nano, 1);
        var (choice, cost) = DraftLengthTuner.Measure(ShippedModels.Nano, head, [[Golden.Prompts("koala-nano")[0].Ids]],
            new GenerationOptions { MaxTokens = 8 }, TimeSpan.FromSeconds(0.1));
        Assert.InRange(choice.Length, 1, 4);
        Assert.Equal(choice.Tree?.Nodes ?? 4, cost.Trees[^1].Nodes);
        Assert.All(choice.Candidates, candidate => Assert.InRange(candidate.Tree.Depth, 1, 4));
    }

    [Theory]
    // Trees accept five tokens instead of three, in rounds of 12 ms instead of 13: the largest promises most, and the others cannot be
    // faster.
    [InlineData(5, 12, 24)]
    // In rounds of 20 ms they do not pay.
    [InlineData(5, 20, null)]
    // Nor if they accept less than hoped for.
    [InlineData(1, 12, null)]
    public void A_tree_is_chosen_where_it_pays(int byTree, double treeMs, int? chosen)
    {
        var prompt = Golden.Prompts("koala-nano")[0].Ids;
        var source = new ScriptedTrees(prompt, PlainDecoding.Greedy(ShippedModels.Nano, prompt, 80), 3, byTree);
        var (cost, rounds) = (Cost(1), Rounds(6, 3, 3, 3));
        var best = DraftLengthTuner.Choose(cost, rounds, 6);
        Assert.Equal(3, best.Length);
        var trials = new TreeTrials(source, [new AnsweredGroup([prompt], rounds)], best, cost);
        Assert.Contains(TreeTrials.Shapes[0], trials.Hopeful());
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, source);
        var ofTrees = new StepCost(10, [.. TreeTrials.Shapes.Select(tree => new TreeCost(tree, tree.Nodes, 0, treeMs, 0))]);
        var options = new GenerationOptions { MaxTokens = 24 };
        var choice = trials.Run(decoder, ofTrees, options, 1, TimeSpan.FromMinutes(1), CancellationToken.None);
        Assert.Equal(chosen, (choice.Tree as DynamicTree)?.Tokens);
        var trees = choice.Candidates.Skip(6).ToArray();
        Assert.Equal(TreeTrials.Shapes, trees.Select(candidate => candidate.Tree));
        Assert.All(trees, candidate => Assert.Equal(treeMs, candidate.RoundMs));
        if (chosen is null)
        {
            Assert.Equal((best.Length, best.Speedup), (choice.Length, choice.Speedup));
            return;
        }
        Assert.Equal([double.NaN, double.NaN, 6], trees.Select(candidate => candidate.AcceptanceLength));
        Assert.Equal((5, 6 * 10 / treeMs), (choice.Length, choice.Speedup));
    }

    [Theory]
    // Chains accept five tokens, and so do trees, which cost more.
    [InlineData(5, 5)]
    // Trees accept less.
    [InlineData(3, 0)]
    public void A_chain_is_chosen_where_trees_do_not_pay(int byChain, int byTree)
    {
        var prompt = Golden.Prompts("koala-nano")[0].Ids;
        var answer = PlainDecoding.Greedy(ShippedModels.Nano, prompt, 80);
        var source = new ScriptedTrees(prompt, answer, byChain, byTree);
        var (choice, cost) = DraftLengthTuner.Measure(ShippedModels.Nano, source, [[prompt]], new GenerationOptions { MaxTokens = 24 },
            TimeSpan.FromSeconds(1), DisturbanceLimits.None);
        Assert.Null(choice.Tree);
        DraftTree[] trees = [.. choice.Candidates.Select(candidate => candidate.Tree).Where(tree => tree is not ChainTree)];
        Assert.Equal(TreeTrials.Shapes, trees);
        Assert.Equal(Enumerable.Range(1, 8), choice.Candidates.Take(8).Select(candidate => candidate.Tree.Nodes));
        // The choice is the fastest that was tried.
        var best = choice.Candidates.Where(candidate => double.IsFinite(candidate.Speedup)).MaxBy(candidate => candidate.Speedup)!;
        Assert.Equal((best.Tree.Depth, best.Speedup), (choice.Length, choice.Speedup));
        Assert.Equal(8, cost.Trees[^1].Nodes);
        var options = choice.ApplyTo(new GenerationOptions());
        Assert.Equal((choice.Length, null), (options.DraftLength, options.Tree));
        // Where chains were asked for, no tree is tried.
        (choice, _) = DraftLengthTuner.Measure(ShippedModels.Nano, source, [[prompt]],
            new GenerationOptions { MaxTokens = 24, ChooseTrees = false }, TimeSpan.FromSeconds(0.1), DisturbanceLimits.None);
        Assert.All(choice.Candidates, candidate => Assert.IsType<ChainTree>(candidate.Tree));
    }

    [Fact]
    public void A_tree_that_cannot_be_the_fastest_is_neither_timed_nor_tried()
    {
        // A round with a candidate costs as much as two without, and each further candidate as much again: no tree can pay.
        var cost = Cost(40);
        var rounds = Rounds(6, 1, 1, 1, 1);
        var best = DraftLengthTuner.Choose(cost, rounds, 6);
        var trials = new TreeTrials(new ScriptedTrees([], [], 0, 0), [new AnsweredGroup([[1]], rounds)], best, cost);
        Assert.Empty(trials.Hopeful());
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        var choice = trials.Run(decoder, cost with { Trees = [] }, new GenerationOptions(), 1, TimeSpan.Zero, CancellationToken.None);
        Assert.Equal((best.Length, null), (choice.Length, choice.Tree));
        Assert.All(choice.Candidates.Skip(6), tree => Assert.True(double.IsNaN(tree.Speedup) && double.IsNaN(tree.RoundMs)));
    }

    [Theory, InlineData("eagle-k2"), InlineData("medusa-k1")]
    public void Answers_are_the_same_whatever_is_chosen(string kind)
    {
        using var head = DraftHead.Load(TestFiles.At("checkpoints", $"koala-nano-{kind}"), ShippedModels.Nano);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head);
        foreach (var prompt in Golden.Prompts("koala-nano").Take(3))
        {
            var answer = decoder.Generate(prompt.Ids, new GenerationOptions { MaxTokens = 24 });
            Assert.Equal(PlainDecoding.Answer(ShippedModels.Nano, prompt.Ids, 24), answer.Tokens);
        }
        var choice = decoder.DraftLength!;
        var chosen = choice.Tree ?? new ChainTree(choice.Length);
        Assert.Contains(chosen, choice.Candidates.Select(candidate => candidate.Tree));
        Assert.Contains(choice.Candidates, candidate => candidate.Tree is DynamicTree);
    }

    // Drafts right tokens down to a depth that depends on whether a chain or a tree is asked for, and wrong ones elsewhere.
    private sealed class ScriptedTrees(int[] prompt, int[] answer, int byChain, int byTree) : IDraftSource
    {
        public int MaxDraftLength => 8;

        public IReadOnlyList<int> FeatureLayers => [];

        public bool DraftsTrees => true;

        public Drafter NewDrafter(Target target, int batch, int capacity) => new Scripted(this);

        private Draft Propose(int done, DraftTree tree)
        {
            var candidates = new List<Candidate>();
            int Right(int depth) => done >= 0 && done + depth < answer.Length ? answer[done + depth] : 0;
            var right = tree is ChainTree ? byChain : byTree;
            for (var depth = 0; depth < tree.Depth; depth++)
                candidates.Add(new Candidate(depth < right ? Right(depth) : (Right(depth) + 1) % 512, depth - 1, 1, null));
            // Wrong siblings of the first candidate fill the tree.
            for (var wrong = 2; candidates.Count < tree.Nodes; wrong++)
                candidates.Add(new Candidate((Right(0) + wrong) % 512, -1, 1, null));
            return new Draft(candidates);
        }

        private sealed class Scripted(ScriptedTrees source) : Drafter
        {
            private int _known;

            public override int MaxDraftLength => source.MaxDraftLength;

            public override void Extend(Tensor features, IReadOnlyList<int[]> tokens) => _known += tokens[0].Length - 1;

            public override void Forget(int sequence) => _known = 0;

            public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler) =>
                [source.Propose(_known + 1 - source._length, tree)];
        }

        private readonly int _length = prompt.Length;
    }
}
