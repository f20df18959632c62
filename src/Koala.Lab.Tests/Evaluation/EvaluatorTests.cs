using System.Text.Json;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Tests.Decoding;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Evaluation;

public sealed class EvaluatorTests
{
    private static readonly Prompt[] s_prompts =
    [
        new("1", "writing", ["Write a short story about a koala.", "Make it shorter."], null),
        new("2", "reasoning", ["What is 12 + 7?", "And twice that?"], null),
        new("3", "writing", ["Give me three tips for better sleep."], null),
        new("4", "reasoning", ["Why is the sky blue?"], null),
    ];

    private static readonly Prompt s_tooLong = new("5", "long", [string.Concat(Enumerable.Repeat("a long story ", 400))], null);

    [Fact]
    public void The_parts_of_a_report_are_consistent()
    {
        using var head = PlainDecoding.RecordedHead();
        var progress = new List<EvaluationProgress>();
        var report = Evaluator.Run(ShippedModels.Nano, head, "recorded", [.. s_prompts, s_tooLong], Options(24),
            new ProgressList(progress));

        Assert.True(report.Lossless);
        Assert.Equal((4, null), (report.EqualAnswers, report.NearTies));
        Assert.Equal((4, 1), (report.Prompts, report.Skipped));
        Assert.Equal(("koala-nano", "recorded", "cpu", "fp32"), (report.Target, report.Head, report.Device, report.Dtype));
        Assert.Equal((0.0, 4, 1), (report.Temperature, report.DraftLength, report.Repeats));
        Assert.Equal(Enumerable.Range(1, 5).Select(i => new EvaluationProgress(i, 5)), progress);

        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var answers = s_prompts.Select(p => decoder.Generate(Ids(p.Turns[0]), new GenerationOptions { MaxTokens = 24 }))
            .ToArray();
        Assert.Equal(answers.Sum(a => a.Tokens.Count), report.Tokens);
        var trace = new DecodingTrace([.. answers.SelectMany(a => a.Rounds)]);
        Assert.Equal(trace.AcceptanceLength, report.AcceptanceLength.Mean, 9);
        Assert.Equal(trace.PositionAcceptance, report.PositionAcceptance);
        Assert.Equal((4, 4), (report.AcceptanceLength.Count, report.Speedup.Count));
        Assert.Equal(double.NaN, report.AcceptanceLength.Low);
        Assert.Equal(double.NaN, report.Speedup.High);
        Assert.Equal(2, report.ToString().Split("no interval: 4 prompts, 10 needed").Length - 1);
        Assert.DoesNotContain("distinguishable", report.ToString());
        Assert.False(report.Disturbed);
        Assert.True(report.Baseline.TokensPerSecond > 0 && report.Speculative.TokensPerSecond > 0);
        Assert.True(report.Round.DraftMs > 0 && report.Round.VerifyMs > 0 && report.Round.BookkeepingMs >= 0);

        Assert.Equal([("reasoning", 2), ("writing", 2)], report.ByCategory.Select(c => (c.Category, c.Prompts)));
        // The times come from a busy machine, so the test can assert only how they relate to each other.
        Assert.Equal(report.AcceptanceLength.Mean / report.BreakEven, report.Predicted, 9);
        Assert.True(report.BreakEven > 0 && double.IsFinite(report.BreakEven));
        Assert.Equal((1, false), (report.Batch, report.DraftLengthChosen));
        Assert.Equal(4, report.NAlpha.Count);
        Assert.All(report.ByCategory, category => Assert.Equal(4, category.NAlpha.Count));

        var writing = new DecodingTrace([.. answers[0].Rounds, .. answers[2].Rounds]);
        Assert.Equal(writing.AcceptanceLength, report.ByCategory[1].AcceptanceLength.Mean, 9);
    }

    /// <summary>
    /// The rounds are counted before the limit cuts them: 1 token from prefill, 4, 4 and the first of the last 4.
    /// </summary>
    [Fact]
    public void Acceptance_length_of_a_perfect_head_is_its_draft_length_plus_one()
    {
        var ids = Ids(s_prompts[0].Turns[0]);
        var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, ids.Length, 3,
            PlainDecoding.Greedy(ShippedModels.Nano, ids, 40), _ => 3);
        var report = Evaluator.Run(ShippedModels.Nano, head, "perfect", s_prompts[..1], Options(10));
        Assert.Equal(10, report.Tokens);
        // One prompt does not show how much prompts vary.
        Assert.Equal(new MeanInterval(4, double.NaN, double.NaN) { Count = 1 }, report.AcceptanceLength);
        Assert.False(report.SpeedupIsClear);
        Assert.Equal([1, 1, 1], report.PositionAcceptance);
        Assert.Equal((true, 1, 3), (report.Lossless, report.EqualAnswers, report.DraftLength));
    }

    [Fact]
    public void Json_has_the_fields_that_scripts_read()
    {
        using var head = PlainDecoding.RecordedHead();
        using var json = JsonDocument.Parse(JsonSerializer.Serialize(Evaluator.Run(ShippedModels.Nano, head, "recorded",
            s_prompts[..2], Options(8)),
            JsonFormat.Document));
        var root = json.RootElement;
        foreach (var name in (string[])["target", "head", "device", "dtype", "threads", "temperature", "prompts",
            "skipped", "tokens", "lossless", "nearTies",
            "acceptanceLength", "positionAcceptance", "baseline", "speculative", "speedup", "round", "byCategory",
            "batch", "draftLength", "draftLengthChosen",
            "nAlpha", "predicted", "breakEven"])
            Assert.True(root.TryGetProperty(name, out _), name);
        foreach (var (figure, name) in (ReadOnlySpan<(string, string)>)[("acceptanceLength", "mean"), ("speedup", "median")])
        {
            Assert.Equal(JsonValueKind.Number, root.GetProperty(figure).GetProperty(name).ValueKind);
            // Two prompts give no interval.
            Assert.Equal(JsonValueKind.Null, root.GetProperty(figure).GetProperty("low").ValueKind);
            Assert.Equal(JsonValueKind.Null, root.GetProperty(figure).GetProperty("high").ValueKind);
        }
        Assert.Equal(JsonValueKind.False, root.GetProperty("disturbed").ValueKind);
        Assert.True(root.GetProperty("load").TryGetProperty("waitingShare", out _));
        foreach (var name in (string[])["draftMs", "verifyMs", "bookkeepingMs"])
            Assert.Equal(JsonValueKind.Number, root.GetProperty("round").GetProperty(name).ValueKind);
        foreach (var name in (string[])["category", "prompts", "acceptanceLength", "speedup", "nAlpha"])
            Assert.True(root.GetProperty("byCategory")[0].TryGetProperty(name, out _), name);
        foreach (var side in (string[])["baseline", "speculative"])
            Assert.True(root.GetProperty(side).GetProperty("tokensPerSecond").GetDouble() > 0);
        Assert.Equal(JsonValueKind.True, root.GetProperty("lossless").ValueKind);
        Assert.False(root.TryGetProperty("speedupIsClear", out _));
    }

    [Fact]
    public void A_report_over_answers_without_rounds_can_be_written()
    {
        using var head = PlainDecoding.RecordedHead();
        var report = Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts[..2], Options(1));
        Assert.Equal(2, report.Tokens);
        // Nothing was drafted, so nothing could have changed an answer.
        Assert.Null(report.Lossless);
        Assert.Contains("not measured: the answers are too short", report.ToString());
        Assert.Contains("koala-nano", report.ToString());
        Assert.Contains("\"tokens\":2", JsonSerializer.Serialize(report, JsonFormat.Line));
    }

    [Fact]
    public void A_sampled_report_makes_no_claim_about_losslessness()
    {
        using var head = PlainDecoding.RecordedHead();
        var report = Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts[..2],
            new EvaluationOptions
            {
                Generation = new GenerationOptions { MaxTokens = 12, Temperature = 0.8 }, Repeats = 2,
                ChooseDraftLength = false,
            });
        Assert.Null(report.Lossless);
        Assert.Null(report.NearTies);
        Assert.Null(report.EqualAnswers);
        Assert.Equal(0.8, report.Temperature);
        Assert.DoesNotContain("lossless", report.ToString());
    }

    [Fact]
    public void Nothing_left_to_measure_is_a_fault()
    {
        using var head = PlainDecoding.RecordedHead();
        Assert.Contains("1 skipped",
            Assert.Throws<KoalaException>(() =>
                Evaluator.Run(ShippedModels.Nano, head, "recorded", [s_tooLong])).Message);
        Assert.Throws<KoalaException>(() => Evaluator.Run(ShippedModels.Nano, head, "recorded", []));
    }

    [Fact]
    public void Options_out_of_range_are_refused_by_name()
    {
        using var head = PlainDecoding.RecordedHead();
        string Where(EvaluationOptions options) =>
            Assert.Throws<KoalaException>(() =>
                Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts, options)).Where;
        Assert.Equal("repeats", Where(new EvaluationOptions { Repeats = 0 }));
        Assert.Equal("batch", Where(new EvaluationOptions { Batch = 0 }));
        Assert.Equal("maxTokens", Where(Options(0)));
        Assert.Equal("draftLength", Where(new EvaluationOptions { Generation = new GenerationOptions { DraftLength = 9 } }));
    }

    [Fact]
    public void All_turns_are_asked_each_after_the_targets_own_answer()
    {
        using var head = PlainDecoding.RecordedHead();
        var report = Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts[..2], Options(10) with { AllTurns = true });
        Assert.Equal(4, report.Prompts);
        using var baseline = new SpeculativeDecoder(ShippedModels.Nano);
        var tokens = 0;
        foreach (var prompt in s_prompts[..2])
        {
            var messages = new List<Message>();
            foreach (var turn in prompt.Turns)
            {
                messages.Add(new Message("user", turn));
                var answer = baseline.Generate(ShippedModels.Nano.Tokenizer.EncodeChat(messages),
                    new GenerationOptions { MaxTokens = 10 });
                tokens += answer.Tokens.Count;
                messages.Add(new Message("assistant", answer.Text));
            }
        }
        Assert.Equal(tokens, report.Tokens);
    }

    [Fact]
    public void Prompts_in_a_batch_get_the_same_answers()
    {
        using var head = PlainDecoding.RecordedHead();
        Prompt[] prompts = [.. s_prompts, s_tooLong];
        var progress = new List<EvaluationProgress>();
        var one = Evaluator.Run(ShippedModels.Nano, head, "recorded", prompts, Options(16));
        var three = Evaluator.Run(ShippedModels.Nano, head, "recorded", prompts, Options(16) with { Batch = 3 },
            new ProgressList(progress));
        Assert.Equal((3, true, 4, 1), (three.Batch, three.Lossless, three.Prompts, three.Skipped));
        Assert.Equal(one.Tokens, three.Tokens);
        Assert.Equal(one.AcceptanceLength.Mean, three.AcceptanceLength.Mean, 6);
        Assert.Equal(one.NAlpha, three.NAlpha);
        Assert.Equal(one.ByCategory.Select(c => (c.Category, c.Prompts)),
            three.ByCategory.Select(c => (c.Category, c.Prompts)));
        // All prompts of a group have the same category.
        Assert.Equal([2, 4, 5], progress.Select(p => p.Done));
        Assert.Contains("batch size 3", three.ToString());
        Assert.DoesNotContain("batch size", one.ToString());
    }

    [Fact]
    public void The_places_of_a_batch_are_filled_again_within_a_group()
    {
        using var head = PlainDecoding.RecordedHead();
        Prompt[] prompts = [.. Enumerable.Range(0, 9).Select(i => s_prompts[i % s_prompts.Length] with { Id = $"{i}", Category = "one" })];
        var progress = new List<EvaluationProgress>();
        var alone = Evaluator.Run(ShippedModels.Nano, head, "recorded", prompts, Options(16));
        var two = Evaluator.Run(ShippedModels.Nano, head, "recorded", prompts, Options(16) with { Batch = 2 }, new ProgressList(progress));
        // Four prompts for each place of the batch.
        Assert.Equal([8, 9], progress.Select(p => p.Done));
        Assert.Equal((alone.Tokens, 9, true), (two.Tokens, two.Prompts, two.Lossless));
        Assert.Equal(prompts.Select(prompt => prompt.Id), two.Answers.Select(answer => answer.Prompt));
        Assert.Equal(alone.Answers.Select(answer => (answer.Speculative.Rounds, answer.Speculative.Accepted)),
            two.Answers.Select(answer => (answer.Speculative.Rounds, answer.Speculative.Accepted)));
        // The speed is that of the whole group.
        Assert.Equal(2, two.Answers.Select(answer => answer.Speculative.SecondsPerToken).Distinct().Count());
        Assert.Single(two.Answers.Take(8).Select(answer => answer.Baseline.SecondsPerToken).Distinct());
    }

    [Theory]
    [InlineData(80, 8, 1, 1), InlineData(80, 8, 4, 8), InlineData(480, 6, 8, 32), InlineData(20, 2, 4, 10), InlineData(120, 1, 4, 12)]
    public void Groups_are_as_large_as_leaves_enough_of_them_for_an_interval(int count, int categories, int batch, int largest)
    {
        Prompt[] prompts = [.. Enumerable.Range(0, count).Select(i => new Prompt($"{i}", $"{i * categories / count}", ["a"], null))];
        var groups = PromptGroups.Measured(prompts, batch);
        Assert.Equal(largest, groups.Max(group => group.Length));
        Assert.All(groups, group => Assert.Single(group.Select(prompt => prompt.Category).Distinct()));
        Assert.Equal(prompts, groups.SelectMany(group => group));
    }

    [Fact]
    public void All_turns_can_be_asked_in_batches()
    {
        using var head = PlainDecoding.RecordedHead();
        var one = Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts, Options(10) with { AllTurns = true });
        var two = Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts,
            Options(10) with { AllTurns = true, Batch = 2 });
        Assert.Equal((6, 6), (one.Prompts, two.Prompts));
        Assert.Equal(one.Tokens, two.Tokens);
    }

    [Fact]
    public void The_draft_length_is_chosen_where_it_is_left_open()
    {
        using var head = PlainDecoding.RecordedHead();
        var report = Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts[..2],
            Options(8) with { ChooseDraftLength = true });
        Assert.True(report.DraftLengthChosen);
        Assert.InRange(report.DraftLength, 1, 4);
        Assert.Contains("(chosen)", report.ToString());
        var given = Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts[..2],
            new EvaluationOptions { Generation = new GenerationOptions { MaxTokens = 8, DraftLength = 2 } });
        Assert.Equal((2, false), (given.DraftLength, given.DraftLengthChosen));
    }

    [Fact]
    public void Drafters_without_a_head_are_measured_in_the_same_way()
    {
        var lookup = Evaluator.Run(ShippedModels.Nano, new PromptLookup(), "prompt-lookup", s_prompts[..2], Options(24));
        Assert.True(lookup.Lossless);
        Assert.Empty(lookup.NAlpha);
        Assert.True(lookup.BreakEven > 0);
        using var model = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        var itself = Evaluator.Run(ShippedModels.Nano, model, "nano", s_prompts[..2],
            Options(24) with { Generation = new GenerationOptions { MaxTokens = 24, DraftLength = 3 } });
        Assert.True(itself.Lossless);
        Assert.Equal(4, itself.AcceptanceLength.Mean, 9);
        Assert.All(itself.NAlpha, alpha => Assert.Equal(1, alpha));
        Assert.True(itself.BreakEven > 0);
    }

    [Fact]
    public void A_cancelled_evaluation_stops()
    {
        using var head = PlainDecoding.RecordedHead();
        using var cancel = new CancellationTokenSource();
        cancel.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            Evaluator.Run(ShippedModels.Nano, head, "recorded", s_prompts, cancel: cancel.Token));
    }

    private static EvaluationOptions Options(int tokens) =>
        new()
        {
            Generation = new GenerationOptions { MaxTokens = tokens },
            ChooseDraftLength = false,
            Limits = DisturbanceLimits.None,
        };

    private static int[] Ids(string message) => [.. ShippedModels.Nano.Tokenizer.EncodeChat([new Message("user", message)])];

    // Progress<T> reports later, on other threads.
    private sealed class ProgressList(List<EvaluationProgress> reports) : IProgress<EvaluationProgress>
    {
        public void Report(EvaluationProgress value) => reports.Add(value);
    }
}
