using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Regeneration;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Decoding;
using Koala.Lab.Text.Chat;
using TorchSharp;

namespace Koala.Lab.Tests.Regeneration;

/// <summary>
/// Many answers in one batch: each equals the answer to its prompt by itself, whatever else is in the batch.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Sampled)]
public sealed class BatchDecoderTests
{
    private const int Tokens = 12;

    public static TheoryData<string, int> Batches => new()
    {
        { "koala-nano", 1 }, { "koala-nano", 3 }, { "koala-nano", 32 },
        { "koala-mini", 1 }, { "koala-mini", 3 }, { "koala-mini", PromptSample.Count(32, 12) },
    };

    [Theory, MemberData(nameof(Batches))]
    public void Greedy_answers_equal_the_baseline(string name, int batch)
    {
        var target = ShippedModels.Of(name);
        // There are more prompts than rows, so later prompts take over rows.
        var sample = PromptSample.Spread(Ragged(target, 100), PromptSample.Count(100, 44));
        var prompts = PromptSample.Spread(sample, PromptSample.Count(100, batch + 12)).ToArray();
        Assert.True(prompts.Select(p => p.Tokens.Count).Distinct().Count() > prompts.Length / 2);
        var answers = Answers(target, batch, new GenerationOptions { MaxTokens = Tokens }, prompts);
        for (var i = 0; i < prompts.Length; i++) AssertSame(target, prompts[i], answers[i]);
    }

    [Theory, InlineData(1), InlineData(3), InlineData(5)]
    public void Answers_that_fill_the_context_end_there_and_disturb_no_other(int batch)
    {
        var target = ShippedModels.Nano;
        var context = target.Config.ContextLength;
        var words = PlainDecoding.MtBench(target, 20).SelectMany(p => p).ToArray();
        // Between long prompts with room for 1 to 17 tokens there are short ones, which continue next to them.
        BatchPrompt[] prompts = [.. Enumerable.Range(0, 12)
            .Select(i => new BatchPrompt(words[(40 * i)..(40 * i + (i % 2 == 0 ? context - 1 - 3 * i / 2 : 30 + i))]))];
        var answers = Answers(target, batch, new GenerationOptions { MaxTokens = 60 }, prompts);
        Assert.True(answers.Where((a, i) => i % 2 == 0
            && a.FinishReason == FinishReason.Length
            && a.Tokens.Count == 1 + 3 * i / 2)
            .Count() >= 3);
        for (var i = 0; i < prompts.Length; i++) AssertSame(target, prompts[i], answers[i], 60);
    }

    [Fact]
    public void Prompts_of_several_pieces_are_read_as_one()
    {
        var target = ShippedModels.Mini;
        var words = PlainDecoding.MtBench(target, 40).SelectMany(p => p).ToArray();
        BatchPrompt[] prompts =
            [.. ((int[])[511, 512, 513, 700, 1000, 20, 1]).Select(count => new BatchPrompt(words[..count]))];
        var answers = Answers(target, 4, new GenerationOptions { MaxTokens = 10 }, prompts);
        for (var i = 0; i < prompts.Length; i++) AssertSame(target, prompts[i], answers[i], 10);
    }

    [Fact]
    public void An_answer_ends_at_an_end_of_sequence_token()
    {
        var target = ShippedModels.Mini;
        var answers = Answers(target, 8, new GenerationOptions { MaxTokens = 200 }, Ragged(target, PromptSample.Count(24, 12)));
        Assert.Contains(answers, a => a.FinishReason == FinishReason.Stop);
        foreach (var answer in answers)
        {
            var end = answer.Tokens.ToList().FindIndex(target.Config.EndOfSequenceIds.Contains);
            Assert.Equal(answer.FinishReason == FinishReason.Stop ? answer.Tokens.Count - 1 : -1, end);
        }
    }

    [Fact]
    public void Sampled_answers_depend_on_seed_and_stream_but_not_on_the_batch()
    {
        var target = ShippedModels.Nano;
        var prompts = Ragged(target, 24);
        var options = new GenerationOptions { MaxTokens = Tokens, Temperature = 0.8, TopK = 100, TopP = 0.95, Seed = 3 };
        var one = Answers(target, 1, options, prompts);
        foreach (var batch in (int[])[3, 24])
            Assert.Equal(one.Select(a => string.Join(' ', a.Tokens)),
                Answers(target, batch, options, prompts).Select(a => string.Join(' ', a.Tokens)));
        // The prompts are in another order and have other neighbours.
        var reversed = Answers(target, 5, options, [.. prompts.Reverse().Take(10)]);
        for (var i = 0; i < 10; i++) Assert.Equal(one[^(i + 1)].Tokens, reversed[i].Tokens);

        Assert.NotEqual(one.Select(a => string.Join(' ', a.Tokens)),
            Answers(target, 3, options with { Seed = 4 }, prompts).Select(a => string.Join(' ', a.Tokens)));
        var same = Answers(target, 4, options,
            [.. Enumerable.Range(0, 4).Select(stream => prompts[0] with { Stream = stream })]);
        Assert.Equal(4, same.Select(a => string.Join(' ', a.Tokens)).Distinct().Count());
    }

    [Fact]
    public void One_decoder_serves_many_runs_of_any_size()
    {
        var target = ShippedModels.Nano;
        using var decoder = new BatchDecoder(target, 8, new GenerationOptions { MaxTokens = 8 });
        foreach (var count in (int[])[3, 20, 1, 0, 20])
        {
            var prompts = Ragged(target, 20)[..count];
            var answers = new BatchAnswer?[count];
            decoder.Run(prompts, ended => ended.ToList().ForEach(a => answers[a.Prompt] = a));
            for (var i = 0; i < count; i++) AssertSame(target, prompts[i], answers[i]!, 8);
        }
        Assert.True(decoder.Times is { Prefill: > 0, Steps: > 0, Host: >= 0 });
    }

    [Theory, InlineData(0.0), InlineData(0.8)]
    public void The_number_of_live_tensors_is_constant_over_chunks(double temperature)
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var before = live.ThreadTotalLiveCount;
        using (var decoder = new BatchDecoder(ShippedModels.Nano, 4,
            new GenerationOptions { MaxTokens = 30, Temperature = temperature, TopP = 0.9 }))
        {
            var counts = new List<long>();
            decoder.Run(Ragged(ShippedModels.Nano, 40), _ => counts.Add(live.ThreadTotalLiveCount));
            Assert.True(counts.Count >= 10);
            Assert.Single(counts.Distinct());
            var between = live.ThreadTotalLiveCount;
            using var cancel = new CancellationTokenSource();
            Assert.ThrowsAny<OperationCanceledException>(() =>
                decoder.Run(Ragged(ShippedModels.Nano, 40), _ => cancel.Cancel(), cancel.Token));
            Assert.Equal(between, live.ThreadTotalLiveCount);
        }
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    [Fact]
    public void Refuses_what_it_cannot_answer()
    {
        Assert.Contains("batch: is 0",
            Assert.Throws<KoalaException>(() =>
                new BatchDecoder(ShippedModels.Nano, 0, new GenerationOptions())).Message,
            StringComparison.Ordinal);
        using var decoder = new BatchDecoder(ShippedModels.Nano, 2, new GenerationOptions());
        foreach (var tokens in (int[][])[[], new int[ShippedModels.Nano.Config.ContextLength]])
        {
            var fault = Assert.Throws<KoalaException>(() =>
                decoder.Run([new BatchPrompt([1]), new BatchPrompt(tokens)], _ => Assert.Fail("an answer")));
            Assert.Equal("prompt 2", fault.Where);
        }
    }

    private static BatchAnswer[] Answers(Target target, int batch, GenerationOptions options, BatchPrompt[] prompts)
    {
        using var decoder = new BatchDecoder(target, batch, options);
        var answers = new BatchAnswer[prompts.Length];
        var count = 0;
        decoder.Run(prompts, ended =>
        {
            foreach (var answer in ended) answers[answer.Prompt] = answer;
            count += ended.Count;
        });
        Assert.Equal(prompts.Length, count);
        return answers;
    }

    /// <summary>Real prompts of many lengths.</summary>
    private static BatchPrompt[] Ragged(Target target, int count) =>
        [.. Conversations.Load(TestFiles.At("data", "chats-validation.jsonl.gz"))
        .Select(c => target.Tokenizer.EncodeChat([new Message(Message.User, c.Messages[0].Content)]))
        .Where(tokens => tokens.Count + 30 < target.Config.ContextLength)
        .Take(count)
        .Select((tokens, i) => new BatchPrompt(tokens, i))];

    private static void AssertSame(Target target, BatchPrompt prompt, BatchAnswer answer, int count = Tokens)
    {
        Assert.Equal(PlainDecoding.Answer(target, prompt.Tokens, count), answer.Tokens);
    }
}
