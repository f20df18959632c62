using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>What the statistics count, with heads whose proposals are all known.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class AcceptanceLengthTests
{
    private static readonly int[] s_prompt = Golden.Prompts("koala-nano").First(p => p.Greedy.Length >= 40).Ids;
    private static readonly int[] s_greedy = PlainDecoding.Greedy(ShippedModels.Nano, s_prompt, 80);

    [Theory, InlineData(1), InlineData(2), InlineData(3), InlineData(4)]
    public void A_head_that_is_always_correct_commits_its_draft_and_one_token(int draftLength)
    {
        var (answer, trace, _) = Run(4, draftLength, 1 + 6 * (draftLength + 1), _ => draftLength);
        Assert.Equal(6, answer.Rounds.Count);
        Assert.All(answer.Rounds, r => Assert.Equal((draftLength, draftLength), (r.Drafted, r.Accepted)));
        Assert.Equal(draftLength + 1, new DecodingTrace(answer.Rounds).AcceptanceLength);
        Assert.Equal(draftLength + 1, trace.AcceptanceLength);
        Assert.Equal(Enumerable.Repeat(1.0, draftLength), trace.PositionAcceptance);
    }

    [Fact]
    public void A_head_that_is_always_wrong_gains_nothing()
    {
        var (answer, trace, _) = Run(4, null, 12, _ => 0);
        Assert.Equal(11, answer.Rounds.Count);
        Assert.All(answer.Rounds, r => Assert.Equal((4, 0), (r.Drafted, r.Accepted)));
        Assert.Equal(1.0, new DecodingTrace(answer.Rounds).AcceptanceLength);
        Assert.Equal([0.0], trace.PositionAcceptance);
    }

    [Fact]
    public void A_head_that_is_correct_at_the_first_position_only_commits_two()
    {
        var (answer, trace, _) = Run(4, 3, 13, _ => 1);
        Assert.Equal(6, answer.Rounds.Count);
        Assert.All(answer.Rounds, r => Assert.Equal((3, 1), (r.Drafted, r.Accepted)));
        Assert.Equal(2.0, trace.AcceptanceLength);
        Assert.Equal([1.0, 0.0], trace.PositionAcceptance);
    }

    [Fact]
    public void The_last_round_counts_fully_although_the_limit_cuts_it()
    {
        var (answer, trace, _) = Run(4, null, 8, _ => 4);   // 1 from prefill, 5, and 2 of the last 5
        Assert.Equal(8, answer.Tokens.Count);
        Assert.Equal([4, 4], answer.Rounds.Select(r => r.Accepted));
        Assert.Equal(5.0, trace.AcceptanceLength);
    }

    [Fact]
    public void Figures_of_a_trace_are_those_counted_by_hand()
    {
        var trace = new DecodingTrace([R(3, 3), R(3, 1), R(2, 0), R(0, 0)]);
        Assert.Equal((4 + 2 + 1 + 1) / 4.0, trace.AcceptanceLength);
        Assert.Equal([2 / 3.0, 1 / 2.0, 1.0], trace.PositionAcceptance);
        Assert.True(double.IsNaN(new DecodingTrace([]).AcceptanceLength));
        Assert.Empty(new DecodingTrace([]).PositionAcceptance);
        static Round R(int drafted, int accepted) => new(drafted, accepted, 0, 0, 0);
    }

    [Theory, InlineData(0), InlineData(1), InlineData(3)]
    public void The_drafter_is_extended_with_the_committed_tokens_only(int correct)
    {
        using var scope = NewDisposeScope();
        var (answer, _, head) = Run(3, null, 20, done => correct * (done % 2));
        int[] tokens = [.. s_prompt, .. answer.Tokens];
        var extended = head.Next.Count;
        Assert.Equal(tokens[1..(extended + 1)], head.Next);
        // All rounds except the one that ends the answer.
        Assert.Equal([s_prompt.Length, .. answer.Rounds.SkipLast(1).Select(r => r.Committed)], head.Calls);

        using var _ = no_grad();
        using var cache = ShippedModels.Nano.NewCache(1);
        var expected = ShippedModels.Nano.Append(cache, tokens).narrow(0, 0, extended);
        var config = ShippedModels.Nano.Config;
        var roundings = Tolerance.Roundings(config, config.Layers, tokens.Length, config.HiddenSize);
        Tolerance.AssertClose(expected, tensor(head.Features.ToArray()).view(extended, -1), roundings);
    }

    [Fact]
    public void Without_drafting_the_head_is_asked_for_length_0()
    {
        var (answer, trace, head) = Run(3, 0, 6, _ => 3);
        Assert.Equal(s_greedy[..6], answer.Tokens);
        Assert.All(head.Asked, length => Assert.Equal(0, length));
        Assert.Equal(1.0, trace.AcceptanceLength);
        Assert.Empty(trace.PositionAcceptance);
    }

    private static (Generation Answer, DecodingTrace Trace, ScriptedHead Head) Run(int max, int? draftLength,
        int tokens, Func<int, int> correct)
    {
        var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, s_prompt.Length, max, s_greedy, correct);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var answer = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = tokens, DraftLength = draftLength });
        Assert.Equal(s_greedy[..tokens], answer.Tokens);
        return (answer, decoder.Trace, head);
    }
}
