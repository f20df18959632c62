using Koala.Lab.Decoding;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Answers that are streamed.</summary>
public sealed class StreamingTests
{
    private const string Question = "Why is the sky blue?";

    [Theory, InlineData(0.0), InlineData(1.0)]
    public void Pieces_together_are_the_answer(double temperature)
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head);
        foreach (var prompt in Golden.Prompts("koala-nano"))
        {
            var pieces = new List<GenerationChunk>();
            var answer = decoder.Generate(prompt.Ids,
                new GenerationOptions { MaxTokens = 48, Temperature = temperature }, pieces.Add);
            Assert.Equal(answer.Tokens, pieces.SelectMany(p => p.Tokens));
            Assert.Equal(answer.Text, string.Concat(pieces.Select(p => p.Text)));
            Assert.Equal(1 + answer.Rounds.Count, pieces.Count);
            Assert.Single(pieces[0].Tokens);
            Assert.Equal(ShippedModels.Nano.Tokenizer.Decode(answer.Tokens, skipSpecialTokens: true), answer.Text);
        }
    }

    [Fact]
    public async Task The_stream_gives_the_pieces_of_the_answer_to_the_message()
    {
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        var options = new GenerationOptions { MaxTokens = 20 };
        var expected = decoder.Generate(ShippedModels.Nano.Tokenizer.EncodeChat([new Message("user", Question)]), options);
        var pieces = new List<GenerationChunk>();
        await foreach (var chunk in decoder.GenerateAsync(Question, options)) pieces.Add(chunk);
        Assert.Equal(expected.Tokens, pieces.SelectMany(p => p.Tokens));
        Assert.Equal(expected.Text, string.Concat(pieces.Select(p => p.Text)));
        Assert.Equal(19, decoder.Trace.Rounds.Count);
    }

    [Fact]
    public async Task Leaving_the_loop_ends_the_work()
    {
        var prompt = ShippedModels.Nano.Tokenizer.EncodeChat([new Message("user", Question)]);
        // A head that is always wrong, so that the draft length asked for shows every round.
        var head = new ScriptedHead(prompt.Count, 1, (_, length) => Enumerable.Repeat(1, length));
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head);
        await foreach (var _ in decoder.GenerateAsync(Question, new GenerationOptions { MaxTokens = 400 })) break;
        var asked = head.Asked.Count;
        Assert.InRange(asked, 0, 300);
        Assert.Empty(decoder.Trace.Rounds);   // no answer was finished
        Assert.Equal([.. decoder.Generate(prompt, new GenerationOptions { MaxTokens = 5 }).Tokens],
            PlainDecoding.Greedy(ShippedModels.Nano, prompt, 5));
    }

    [Fact]
    public async Task Cancelling_throws()
    {
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        using var cancel = new CancellationTokenSource();
        var seen = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in decoder.GenerateAsync(Question, new GenerationOptions { MaxTokens = 480 }, cancel.Token))
                if (++seen == 2) await cancel.CancelAsync();
        });
        Assert.InRange(seen, 2, 479);
        Assert.ThrowsAny<OperationCanceledException>(() => decoder.Generate([1], cancel: cancel.Token));
    }

    [Fact]
    public async Task A_prompt_that_is_too_long_throws_while_streaming()
    {
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        var e = await Assert.ThrowsAsync<KoalaException>(async () =>
        {
            await foreach (var _ in decoder.GenerateAsync(string.Concat(Enumerable.Repeat("a long story ", 400))))
                Assert.Fail("a piece came");
        });
        Assert.Equal("the prompt", e.Where);
        Assert.Equal("topP", (await Assert.ThrowsAsync<KoalaException>(async () =>
        {
            await foreach (var _ in decoder.GenerateAsync(Question, new GenerationOptions { TopP = 2 }))
                Assert.Fail("a piece came");
        })).Where);
    }
}
