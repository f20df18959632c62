using Koala.Lab.Decoding;

namespace Koala.Lab.Tests.Decoding;

/// <summary>A decoder that is given no draft length chooses one for this device, as the command does.</summary>
public sealed class ChosenDraftLengthTests
{
    private static readonly int[] s_prompt = Golden.Prompts("koala-nano")[0].Ids;
    private static readonly GenerationOptions s_short = new() { MaxTokens = 12 };

    [Fact]
    public void It_is_chosen_once_and_every_round_drafts_as_much()
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head);
        Assert.Null(decoder.DraftLength);
        var first = decoder.Generate(s_prompt, s_short);
        var choice = decoder.DraftLength!;
        Assert.InRange(choice.Length, 1, head.MaxDraftLength);
        Assert.Equal(PlainDecoding.Greedy(ShippedModels.Nano, s_prompt, 12), first.Tokens);
        var second = decoder.Generate(s_prompt, s_short);
        Assert.Same(choice, decoder.DraftLength);
        // The context has room for whole drafts.
        Assert.All(first.Rounds.Concat(second.Rounds), round => Assert.Equal(choice.Length, round.Drafted));
    }

    [Fact]
    public void It_is_chosen_anew_for_another_batch_and_for_sampling()
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head);
        decoder.Generate(s_prompt, s_short);
        var one = decoder.DraftLength;
        decoder.GenerateAll([s_prompt, s_prompt], s_short);
        var two = decoder.DraftLength;
        Assert.NotSame(one, two);
        decoder.GenerateAll([s_prompt, s_prompt], s_short with { Temperature = 1 });
        Assert.NotSame(two, decoder.DraftLength);
    }

    [Theory, InlineData(true), InlineData(false)]
    public void A_given_length_and_a_decoder_that_does_not_choose_measure_nothing(bool given)
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = given };
        var answer = decoder.Generate(s_prompt, s_short with { DraftLength = given ? 2 : null });
        Assert.Null(decoder.DraftLength);
        Assert.Equal(given ? 2 : head.MaxDraftLength, answer.Rounds[0].Drafted);
    }
}
