using System.Text.Json;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Runs;
using Koala.Lab.Tests.Cli;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Training;

/// <summary>A head is never trained on nothing, and what was not measured is not reported as zero.</summary>
public sealed class NothingToLearnTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, string, string> Refused => new()
    {
        { Line(("human", "Hi"), ("gpt", "Hello.")), "no message of the assistant", "roles: human, gpt" },
        { Line(("user", "Hi")), "no message of the assistant", "regenerate" },
        { Line(("user", string.Concat(Enumerable.Repeat("word ", 90))), ("assistant", "Hello.")), "its answers begin", "--row-length" },
        { Line(("user", string.Concat(Enumerable.Repeat("word ", 900))), ("assistant", "Hello.")), "its answers begin", "context of 512" },
        { Cut("a"), "none of its answers has 2 tokens", "longer answers" },
        { Line(("user", "Hi"), ("assistant", "a")), "no answer of more than 2 tokens", "--medusa-heads to 1" },
        { """{"conversations": [{"from": "human", "value": "Hi"}]}""", "no message of the assistant", "regenerate" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Refused))]
    public void Data_without_anything_to_learn_is_refused_and_the_reason_is_told(string chat, string found, string more)
    {
        File.WriteAllLines(_folder.At("nothing.jsonl"), Enumerable.Repeat(chat, 8));
        Train("nothing.jsonl", Good()).AssertRefused("nothing.jsonl", found, more);
        Assert.False(Path.Exists(_folder.At("out")));
    }

    [Fact]
    public void A_validation_file_without_anything_to_learn_is_refused()
    {
        File.WriteAllText(_folder.At("nothing.jsonl"), Line(("user", "Hi")));
        Train(Good(), "nothing.jsonl").AssertRefused("nothing.jsonl", "no message of the assistant");
        Assert.False(Path.Exists(_folder.At("out")));
    }

    [Fact]
    public void Few_tokens_to_learn_are_told()
    {
        File.WriteAllLines(_folder.At("few.jsonl"), [Line(("user", "Hi"), ("assistant", "Hello.")),
            .. Enumerable.Repeat(Line(("user", string.Concat(Enumerable.Repeat("word ", 90)))), 9)]);
        Assert.Contains("there is little to learn", Train("few.jsonl", Good()).AssertDone().Error, StringComparison.Ordinal);
        Assert.DoesNotContain("there is little to learn", Train(Good(), Good(), "other").AssertDone().Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Chats_that_cannot_be_used_are_left_out_and_their_lines_are_told_also_from_the_cache()
    {
        File.WriteAllLines(_folder.At("mixed.jsonl"), [.. File.ReadAllLines(_folder.At(Good())), Line(("user", null!)),
            """{"id": 9, "messages": [{"role": "user", "content": "now"}, {"role": "assistant", "content": null, "tool_calls": []}]}"""]);
        foreach (var run in (string[])["first", "second"])
        {
            var error = Train("mixed.jsonl", Good(), run).AssertDone().Error;
            Assert.Contains("2 of 22 chats of", error, StringComparison.Ordinal);
            Assert.Contains("line 21 is missing; line 22 is missing beside tool_calls", error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_draft_vocabulary_that_the_target_never_uses_fails_the_run_and_writes_no_head()
    {
        // The vocabulary has the tokens that end an answer and the most frequent one. Rows are chosen in which the target's best token
        // is never one of them.
        const int Frequent = 401;
        var target = ShippedModels.Nano;
        int Token(int t, int seed) => t % 8 == 0 ? Frequent : 3 + (t * t * 7 + t * 5 + seed * 31) % 390;
        int[] Tokens(int seed) => [.. Enumerable.Range(0, 64).Select(t => Token(t, seed))];
        bool IsOutside(int[] tokens)
        {
            using var scope = NewDisposeScope();
            using var cache = target.NewCache(1, tokens.Length);
            var best = target.Logits(target.Append(cache, tokens)).argmax(-1).data<long>();
            return best.All(token => token != Frequent && !target.EndIds.Contains((int)token));
        }
        var rows = Enumerable.Range(0, 2000).Select(Tokens).Where(IsOutside).Take(4)
            .Select(tokens => TinyModels.Row(tokens, new int[64], ".".PadRight(64, 'x')))
            .ToArray();
        Assert.Equal(4, rows.Length);
        var data = new TrainingData(rows, TinyModels.Data.Validation, "vocabulary");
        var request = new TrainingRequest
        {
            Data = "vocabulary.jsonl",
            Head = new EagleOptions { DraftVocabulary = target.EndIds.Count + 1 },
            Training = TinyModels.Options with { Steps = 40 },
        };
        var plan = new TrainingPlan(request, ShippedModels.Nano, data);
        var run = RunFolder.Create(_folder.At("out"));
        var e = Assert.Throws<KoalaException>(() => TrainingRun.Start(run, ShippedModels.Nano, data, plan, ["train"]));
        Assert.Contains($"never one of the {target.EndIds.Count + 1} tokens", e.Fault, StringComparison.Ordinal);
        Assert.Contains("draftVocabulary", e.Fix, StringComparison.Ordinal);
        Assert.False(Directory.Exists(run.HeadFolder));
        Assert.Equal(RunState.Failed, run.ReadRecord().State);
        Assert.All(MetricsLog.Read(run.MetricsFile), line => Assert.True(double.IsNaN(line.Values["loss"])));
    }

    [Fact]
    public void A_step_without_a_position_to_learn_from_has_no_loss()
    {
        var silent = TinyModels.Row([.. Enumerable.Range(20, 64)], new int[64], new string('.', 64));
        var brief = TinyModels.Row([.. Enumerable.Range(20, 64)], new int[64], new string('.', 61) + "xx.");
        var data = new TrainingData([silent, brief], [brief], "silent");
        var lines = new List<StepMetrics>();
        using var head = TinyModels.NewHead(TinyModels.Head);
        var options = TinyModels.WithAdversary with { Batch = 1, Steps = 6 };
        using (var trainer = new Trainer(ShippedModels.Nano, head, data, options)) trainer.Run(lines.Add, TinyModels.Nothing);
        Assert.Equal(3, lines.Count(line => double.IsNaN(line.Loss)));
        foreach (var line in lines)
        {
            var isSilent = double.IsNaN(line.Loss);
            // Only the first head has a position in the brief row.
            Assert.Equal([isSilent, true, true], line.LossByDepth.Select(double.IsNaN));
            Assert.All(line.LossByName, loss => Assert.Equal(isSilent, double.IsNaN(loss.Value)));
            Assert.Equal(isSilent, double.IsNaN(line.AdversarialLoss!.Value));
            Assert.Equal(isSilent, double.IsNaN(line.DiscriminatorLoss!.Value));
        }
        Assert.Equal([false, true, true], lines[^1].ValidationAccuracy!.Select(double.IsNaN));

        using (var log = MetricsLog.Create(_folder.At("metrics.jsonl")))
            foreach (var line in lines) log.Append(line.Step, line.Values);
        Assert.Equal(3, File.ReadAllLines(_folder.At("metrics.jsonl")).Count(l => l.Contains("\"loss\":null", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_Medusa_head_beyond_the_end_of_every_answer_is_refused_by_the_plan()
    {
        var brief = TinyModels.Row([.. Enumerable.Range(20, 64)], new int[64], new string('.', 60) + "xxx.");
        var data = new TrainingData([brief], [brief], "brief");
        TrainingPlan Plan(int heads) => new(TinyRun.Request with { Head = new MedusaOptions { Heads = heads } }, ShippedModels.Nano, data);
        Assert.Equal(2, ((MedusaOptions)Plan(2).Head).Heads);
        Assert.Contains("heads to 2", Assert.Throws<KoalaException>(() => Plan(3)).Fix, StringComparison.Ordinal);
    }

    // Twenty chats with answers, each longer than a draft.
    private string Good()
    {
        TrainingDataTests.Write(_folder.At("good.jsonl"), 20);
        return "good.jsonl";
    }

    private CommandRun Train(string data, string validation, string run = "out") => CommandRun.Of("train",
        "--target", ShippedModels.Folder("koala-nano"), "--head", "medusa", "--steps", "3", "--batch", "1", "--row-length", "64",
        "--data", _folder.At(data), "--validation", _folder.At(validation), "--out", _folder.At(run));

    private static string Line(params (string Role, string Content)[] messages) =>
        JsonSerializer.Serialize(new { messages = messages.Select(m => new { role = m.Role, content = m.Content }) });

    // The answer has one token, and no end of turn.
    private static string Cut(string answer) =>
        Line(("user", "Hi"), ("assistant", answer)).Replace("{\"messages\"", "{\"done\":false,\"messages\"", StringComparison.Ordinal);
}
