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
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        foreach (var prompt in Golden.Prompts("koala-nano"))
        {
            var pieces = new List<GenerationChunk>();
            var answer = decoder.Generate(prompt.Ids,
                new GenerationOptions { MaxTokens = 48, Temperature = temperature }, pieces.Add);
            Assert.Equal(answer.Tokens, pieces.SelectMany(p => p.Tokens));
            Assert.Equal(answer.Text, string.Concat(pieces.Select(p => p.Text)));
            Assert.Equal(1 + answer.Rounds.Count, pieces.Count);
            Assert.Single(pieces[0].Tokens);
            AssertOrigins(answer, pieces);
            Assert.Equal(ShippedModels.Nano.Tokenizer.Decode(answer.Tokens, skipSpecialTokens: true), answer.Text);
        }
    }

    /// <summary>While it streams, each token has the origin that the rounds tell afterwards; the texts are those of the chunks.</summary>
    private static void AssertOrigins(Generation answer, List<GenerationChunk> chunks)
    {
        var tokenizer = ShippedModels.Nano.Tokenizer;
        var reader = new AnswerPieces(tokenizer);
        var streamed = new List<AnswerPiece>();
        foreach (var chunk in chunks)
        {
            var pieces = reader.Append(chunk);
            Assert.Equal(chunk.Text, string.Concat(pieces.Where(piece => !piece.Special).Select(piece => piece.Text)));
            streamed.AddRange(pieces);
        }
        Assert.Equal(AnswerPieces.Of(answer, tokenizer), streamed);
        Assert.Equal(TokenOrigin.Prefill, chunks[0].Origins.Single());
        foreach (var (chunk, round) in chunks.Skip(1).SkipLast(1).Zip(answer.Rounds))
        {
            Assert.Equal(round.Accepted, chunk.Origins.Count(origin => origin == TokenOrigin.Accepted));
            Assert.Equal(TokenOrigin.Bonus, chunk.Origins[^1]);
        }
    }

    /// <summary>What may be the beginning of a stop text is held back, and keeps its origin when it is shown.</summary>
    [Fact]
    public void Text_that_was_held_back_keeps_the_origin_of_its_token()
    {
        var tokenizer = ShippedModels.Nano.Tokenizer;
        var tokens = tokenizer.Encode("one two three");
        var reader = new AnswerPieces(tokenizer);
        TokenOrigin[] origins = [.. Enumerable.Repeat(TokenOrigin.Accepted, tokens.Count - 1), TokenOrigin.Bonus];
        Assert.Equal(["one"], reader.Append(new GenerationChunk("one", tokens, origins)).Aggregate(new List<string> { "" },
            (texts, piece) => [texts[0] + piece.Text]));
        var rest = reader.Append(new GenerationChunk(" two three", [], []));
        Assert.Equal(" two three", string.Concat(rest.Select(piece => piece.Text)));
        Assert.Equal(TokenOrigin.Accepted, rest[0].Origin);
        Assert.Equal(TokenOrigin.Bonus, rest[^1].Origin);
        Assert.Equal(TokenOrigin.Bonus, Assert.Single(reader.Append(new GenerationChunk("\ufffd", [], []))).Origin);
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
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
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
