using System.Globalization;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;

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
        Assert.Equal(10, cost.Trees[^1].Nodes);
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
        Assert.Equal(4, cost.Trees[^1].Nodes);
    }
}
