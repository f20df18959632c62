using Koala.Lab.Decoding;
using Koala.Lab.Drafting;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Prompts in a batch get the same answers as single prompts.</summary>
public sealed class SequenceBatchTests
{
    private static readonly IReadOnlyList<IReadOnlyList<int>> s_prompts = [.. Golden.Prompts("koala-nano")
        .Take(5)
        .Select(p => (IReadOnlyList<int>)p.Ids)];

    public static TheoryData<GenerationOptions> Settings =>
    [
        new GenerationOptions { MaxTokens = 40 },
        new GenerationOptions { MaxTokens = 40, DraftLength = 2 },
        new GenerationOptions { MaxTokens = 40, Temperature = 1, Seed = 4 },
        new GenerationOptions { MaxTokens = 40, Temperature = 0.7, TopP = 0.9, Stream = 3 },
    ];

    [Theory, MemberData(nameof(Settings))]
    public void Answers_of_a_batch_equal_those_of_single_prompts(GenerationOptions options)
    {
        foreach (var source in (IDraftSource?[])[null, PlainDecoding.RecordedHead(),
            PlainDecoding.RandomHead(ShippedModels.Nano, 1)])
        {
            using var head = source as IDisposable;
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, source) { ChooseDraftLength = false };
            var pieces = s_prompts.Select(_ => new List<int>()).ToArray();
            var together = decoder.GenerateAll(s_prompts, options, (b, chunk) => pieces[b].AddRange(chunk.Tokens));
            for (var b = 0; b < s_prompts.Count; b++)
            {
                var baseline = decoder.Generate(s_prompts[b], options with { Stream = options.Stream + b });
                Assert.Equal(baseline.Tokens, together[b].Tokens);
                Assert.Equal(baseline.Text, together[b].Text);
                Assert.Equal(baseline.FinishReason, together[b].FinishReason);
                Assert.Equal(baseline.Rounds.Select(r => (r.Drafted, r.Accepted)),
                    together[b].Rounds.Select(r => (r.Drafted, r.Accepted)));
                Assert.Equal(together[b].Tokens, pieces[b]);
            }
        }
    }

    [Fact]
    public void Answers_that_end_at_different_rounds_do_not_disturb_the_others()
    {
        // Only some answers contain this stop text, at different positions.
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var plain = s_prompts.Select(p => decoder.Generate(p, new GenerationOptions { MaxTokens = 48 })).ToArray();
        var stop = (string[])[plain[0].Text[10..13], plain[3].Text[40..43]];
        var options = new GenerationOptions { MaxTokens = 48, Stop = stop };
        var together = decoder.GenerateAll(s_prompts, options);
        Assert.Equal(together.Sum(a => a.Rounds.Count), decoder.Trace.Rounds.Count);
        Assert.True(together.Select(a => a.Tokens.Count).Distinct().Count() >= 3,
            string.Join(' ', together.Select(a => a.Tokens.Count)));
        for (var b = 0; b < s_prompts.Count; b++)
            Assert.Equal(decoder.Generate(s_prompts[b], options).Tokens, together[b].Tokens);
    }

    [Theory, InlineData(0), InlineData(4)]
    public void A_sequence_at_the_end_of_the_context_ends_there_and_the_others_continue(int draftLength)
    {
        var context = ShippedModels.Nano.Config.ContextLength;
        int[] Long(int room) => [.. Enumerable.Range(0, context - room).Select(i => s_prompts[0][i % s_prompts[0].Count])];
        IReadOnlyList<int>[] prompts = [s_prompts[1], Long(7), Long(1), s_prompts[2]];
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var options = new GenerationOptions { MaxTokens = 30, DraftLength = draftLength };
        var together = decoder.GenerateAll(prompts, options);
        for (var b = 0; b < prompts.Length; b++)
            Assert.Equal(PlainDecoding.Answer(ShippedModels.Nano, prompts[b], 30), together[b].Tokens);
        Assert.Equal([30, 7, 1, 30], together.Select(a => a.Tokens.Count));
    }
}
