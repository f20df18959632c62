using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Heads;
using Koala.Lab.Targets;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Where answers end: at end-of-sequence, a stop text, a limit, or the end of the context.</summary>
public sealed class EndTests
{
    private static readonly int[] s_prompt = Golden.Prompts("koala-nano")[7].Ids;   // its answer keeps producing new tokens
    private static readonly int[] s_greedy = PlainDecoding.Greedy(ShippedModels.Nano, s_prompt, 80);

    /// <summary>The drafts have the end-of-sequence token at every depth of a round.</summary>
    [Theory, InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5)]
    public void End_of_sequence_inside_accepted_tokens_cuts_there_and_belongs_to_the_answer(int draftLength)
    {
        var head = ScriptedHead.CreateCorrect(Ending(), s_prompt.Length, draftLength, s_greedy, _ => draftLength);
        using var decoder = new SpeculativeDecoder(Ending(), head) { ChooseDraftLength = false };
        var answer = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 400 });
        Assert.Equal(s_greedy[..s_length], answer.Tokens);
        Assert.Equal(FinishReason.Stop, answer.FinishReason);
        Assert.Equal(ShippedModels.Nano.Tokenizer.Decode(s_greedy[..(s_length - 1)], skipSpecialTokens: true), answer.Text);
        Assert.Equal(draftLength + 1.0, new DecodingTrace(answer.Rounds).AcceptanceLength);
    }

    [Fact]
    public void The_limit_at_the_end_of_sequence_token_is_a_stop()
    {
        using var decoder = new SpeculativeDecoder(Ending());
        Assert.Equal(FinishReason.Stop,
            decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = s_length }).FinishReason);
        var shorter = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = s_length - 1 });
        Assert.Equal(FinishReason.Length, shorter.FinishReason);
        Assert.Equal(s_greedy[..(s_length - 1)], shorter.Tokens);
    }

    [Theory, InlineData(0), InlineData(4)]
    public void A_stop_text_across_tokens_is_cut_off(int draftLength)
    {
        var fullText = ShippedModels.Nano.Tokenizer.Decode(s_greedy[..40], skipSpecialTokens: true);
        var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, s_prompt.Length, 4, s_greedy, _ => 4);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        for (var at = 1; at < 30; at++)
        {
            var before = ShippedModels.Nano.Tokenizer.Decode(s_greedy[..at], skipSpecialTokens: true);
            var stop = fullText[(before.Length - 1)..(before.Length + 2)];   // the last character of one token and two after it
            var answer = decoder.Generate(s_prompt,
                new GenerationOptions { MaxTokens = 40, DraftLength = draftLength, Stop = ["never comes", stop] });
            Assert.Equal(fullText[..fullText.IndexOf(stop, StringComparison.Ordinal)], answer.Text);
            Assert.Equal(FinishReason.Stop, answer.FinishReason);
            // The last token is the one that completed the stop text.
            var needed = Enumerable.Range(1, 40)
                .First(n =>
                    ShippedModels.Nano.Tokenizer.Decode(s_greedy[..n], skipSpecialTokens: true)
                        .Contains(stop, StringComparison.Ordinal));
            Assert.Equal(s_greedy[..needed], answer.Tokens);
        }
    }

    [Fact]
    public void A_stop_text_that_is_only_begun_is_emitted_at_the_end()
    {
        var fullText = ShippedModels.Nano.Tokenizer.Decode(s_greedy[..12], skipSpecialTokens: true);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        var text = "";
        var answer = decoder.Generate(s_prompt,
            new GenerationOptions { MaxTokens = 12, Stop = [fullText[^3..] + "\u0001"] }, chunk => text += chunk.Text);
        Assert.Equal(fullText, answer.Text);
        Assert.Equal(fullText, text);
        Assert.Equal(FinishReason.Length, answer.FinishReason);
    }

    [Fact]
    public void The_token_limit_is_exact()
    {
        var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, s_prompt.Length, 4, s_greedy, _ => 4);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        for (var limit = 1; limit <= 17; limit++)
        {
            var answer = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = limit });
            Assert.Equal(s_greedy[..limit], answer.Tokens);
            Assert.Equal(FinishReason.Length, answer.FinishReason);
            Assert.Equal((limit + 3) / 5, answer.Rounds.Count);
        }
    }

    [Fact]
    public void One_token_takes_no_round_and_does_not_extend_the_head()
    {
        var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, s_prompt.Length, 4, s_greedy, _ => 4);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var answer = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 1 });
        Assert.Equal(s_greedy[..1], answer.Tokens);
        Assert.Empty(answer.Rounds);
        Assert.Empty(head.Calls);
        Assert.True(double.IsNaN(answer.SecondsPerToken));
        Assert.Equal("no rounds", decoder.Trace.ToString());
    }

    [Theory]
    [InlineData(1, 4), InlineData(2, 4), InlineData(3, 4), InlineData(4, 4), InlineData(5, 4), InlineData(6, 4)]
    [InlineData(7, 4), InlineData(12, 4), InlineData(12, 0), InlineData(12, 1)]
    public void A_context_that_fills_up_ends_the_answer_at_the_last_token_that_fits(int room, int correct)
    {
        var prompt = LongPrompt(ShippedModels.Nano.Config.ContextLength - room);
        var expected = PlainDecoding.Greedy(ShippedModels.Nano, prompt, room);
        // otherwise the test needs another prompt
        Assert.DoesNotContain(expected, ShippedModels.Nano.Config.EndOfSequenceIds.Contains);
        var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, prompt.Length, 4, [.. expected, .. new int[8]], _ => correct);
        foreach (var limit in (int[])[room, room + 100])
        {
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
            var answer = decoder.Generate(prompt, new GenerationOptions { MaxTokens = limit });
            Assert.Equal(expected, answer.Tokens);
            Assert.Equal(FinishReason.Length, answer.FinishReason);
        }
    }

    [Fact]
    public void A_very_large_limit_means_as_much_as_fits_also_after_a_short_answer()
    {
        using var decoder = new SpeculativeDecoder(Ending());
        decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 2 });
        Assert.Equal(s_greedy[..s_length],
            decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = int.MaxValue }).Tokens);
    }

    [Fact]
    public void A_prompt_as_long_as_the_context_is_refused_and_one_token_fewer_is_answered_with_one()
    {
        var context = ShippedModels.Nano.Config.ContextLength;
        using DraftHead head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var refused = Assert.Throws<KoalaException>(() => decoder.Generate(LongPrompt(context)));
        Assert.Contains($"{context} tokens", refused.Message);
        Assert.Throws<KoalaException>(() => decoder.Generate([]));
        var answer = decoder.Generate(LongPrompt(context - 1));
        Assert.Single(answer.Tokens);
        Assert.Empty(answer.Rounds);
    }

    private static int[] LongPrompt(int length) =>
        [.. Enumerable.Range(0, length).Select(i => i == 0 ? s_prompt[0] : s_greedy[i % 40])];

    // koala-nano with another end-of-sequence token: one whose first occurrence in the answer to the prompt is late
    // enough.
    private static Target Ending() => s_ending.Value;

    private static readonly int s_length = Enumerable.Range(0, 60).Last(i => Array.IndexOf(s_greedy, s_greedy[i]) == i) + 1;

    private static readonly Lazy<Target> s_ending = new(() =>
    {
        using var folder = new TemporaryFolder();
        foreach (var file in Directory.EnumerateFiles(ShippedModels.Folder("koala-nano")))
            File.Copy(file, folder.At(Path.GetFileName(file)));
        File.WriteAllText(folder.At("generation_config.json"),
            $$"""{"bos_token_id": 0, "eos_token_id": [2, {{s_greedy[s_length - 1]}}]}""");
        return Target.Load(folder.Path);
    });
}
