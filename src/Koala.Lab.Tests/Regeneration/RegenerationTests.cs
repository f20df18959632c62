using System.Text.Json;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Regeneration;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Regeneration;

/// <summary>Regenerating a file: what it contains, and that interrupting and resuming changes nothing.</summary>
public sealed class RegenerationTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Each_line_keeps_its_content_and_gets_the_baseline_answer()
    {
        var prompts = Write("prompts.jsonl",
            """{"id":"p-1","source":"a","licence":"MIT","category":"code","prompt":"Name a colour.","weight":1.50,"tags":["x"]}""",
            """{"question_id":81,"category":"writing","turns":["Say “one”."],"reference":["1"]}""",
            """{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"},""" +
            """{"role":"assistant","content":"An old answer."}],"id":"c","done":false}""");
        var report = Regenerate(prompts, "chats.jsonl", maxTokens: 12, target: "koala-nano");
        var lines = File.ReadAllLines(_folder.At("chats.jsonl"));
        Assert.Equal((3, 3, 0, 0), (report.Chats, report.Answers, report.Skipped, report.Shortened));

        Assert.StartsWith("""{"id":"p-1","source":"a","licence":"MIT","category":"code","messages":[""" +
            """{"role":"user","content":"Name a colour."},{"role":"assistant","content":""",
            lines[0], StringComparison.Ordinal);
        Assert.EndsWith(""","weight":1.50,"tags":["x"]}""", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("""{"id":"81","source":"","licence":"","category":"writing","messages":[""" +
            """{"role":"user","content":"Say “one”."}""",
            lines[1], StringComparison.Ordinal);
        Assert.EndsWith(""","question_id":81,"reference":["1"]}""", lines[1], StringComparison.Ordinal);

        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        foreach (var chat in Conversations.Load(_folder.At("chats.jsonl")))
        {
            var baseline = decoder.Generate(ShippedModels.Nano.Tokenizer.EncodeChat([.. chat.Messages.SkipLast(1)]),
                new GenerationOptions { MaxTokens = 12 });
            Assert.Equal((baseline.Text, baseline.FinishReason == FinishReason.Stop), (chat.Messages[^1].Content, chat.Done));
        }
        Assert.Equal(["system", "user", "assistant"],
            Conversations.Load(_folder.At("chats.jsonl"))[2].Messages.Select(m => m.Role));
        Assert.Equal(["chats.jsonl", "prompts.jsonl"],
            Directory.GetFiles(_folder.Path).Select(path => Path.GetFileName(path)).Order());
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Later_turns_follow_the_new_answers_and_a_cut_one_ends_the_chat()
    {
        var prompts = MiniPrompts(PromptSample.Count(12, 8), turn => [turn, "And why?", "Are you sure?"]);
        var report = Regenerate(prompts, "chats.jsonl", maxTokens: 120, system: "You are short of words.");
        var chats = Conversations.Load(_folder.At("chats.jsonl"));
        Assert.Equal(report.Answers, chats.Sum(c => c.Messages.Count(m => m.Role == Message.Assistant)));
        Assert.Contains(chats, c => c.Messages.Count == 7);
        Assert.True(report.Cut > 0 && report.Shortened > 0, report.ToString());
        using var decoder = new SpeculativeDecoder(ShippedModels.Mini);
        foreach (var chat in chats)
        {
            Assert.Equal("You are short of words.", chat.Messages[0].Content);
            for (var i = 2; i < chat.Messages.Count; i += 2)
            {
                var baseline = decoder.Generate(ShippedModels.Mini.Tokenizer.EncodeChat([.. chat.Messages.Take(i)]),
                    new GenerationOptions { MaxTokens = 120 });
                Assert.Equal(baseline.Text, chat.Messages[i].Content);
                Assert.Equal(baseline.FinishReason == FinishReason.Stop, i < chat.Messages.Count - 1 || chat.Done);
            }
        }
        // The regenerated file can be used for training.
        var tokenizer = new ConversationTokenizer(ShippedModels.Mini.Tokenizer);
        Assert.All(chats, chat => Assert.Contains(true, Assert.Single(tokenizer.Tokenize(chat)).LossMask));
    }

    [Fact]
    public void Lines_that_do_not_fit_are_skipped_and_counted()
    {
        var prompts = Write("prompts.jsonl",
            JsonSerializer.Serialize(new { prompt = string.Concat(Enumerable.Repeat("word ", 3000)) }),
            """{"prompt":"Name a colour."}""");
        var report = Regenerate(prompts, "chats.jsonl", maxTokens: 4, target: "koala-nano");
        Assert.Equal((1, 1), (report.Chats, report.Skipped));
        Assert.Equal("2", Assert.Single(Conversations.Load(_folder.At("chats.jsonl"))).Id);

        var fault = Assert.Throws<KoalaException>(() => Regenerate(prompts, "none.jsonl", limit: 1));
        Assert.Contains("leaves nothing to answer", fault.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.At("none.jsonl")) || File.Exists(_folder.At("none.jsonl.part")));
    }

    [Theory, InlineData("jsonl", 0.0), InlineData("jsonl.gz", 0.0), InlineData("jsonl", 0.7)]
    public void A_resumed_file_equals_an_uninterrupted_one(string ending, double temperature)
    {
        var prompts = MiniPrompts(20, turn => turn.Length % 2 == 0 ? [turn] : [turn, "And why?"]);
        Regenerate(prompts, $"whole.{ending}", temperature: temperature);
        Stop(prompts, $"stopped.{ending}", answers: 5, temperature);
        Assert.False(File.Exists(_folder.At($"stopped.{ending}")));
        var part = _folder.At($"stopped.{ending}.part");
        var kept = File.ReadAllLines(part).Length;
        Assert.True(kept >= 6);
        // A killed process leaves half a line.
        File.AppendAllText(part, """{"row":3,"turn":0,"tok""");
        Stop(prompts, $"stopped.{ending}", answers: 1, temperature, resume: true);
        Assert.True(File.ReadAllLines(part).Length > kept);
        Regenerate(prompts, $"stopped.{ending}", resume: true, temperature: temperature);
        Assert.Equal(File.ReadAllBytes(_folder.At($"whole.{ending}")), File.ReadAllBytes(_folder.At($"stopped.{ending}")));
        Assert.False(File.Exists(part));
    }

    [Fact]
    public void Resuming_with_other_options_is_refused_and_both_are_named()
    {
        var prompts = MiniPrompts(8, turn => [turn]);
        Stop(prompts, "chats.jsonl", answers: 1);
        var part = File.ReadAllBytes(_folder.At("chats.jsonl.part"));
        void Refused(RegenerationOptions options, string target, params string[] words)
        {
            var fault = Assert.Throws<KoalaException>(() => Regenerator.Run(ShippedModels.Of(target), options));
            Assert.All(words, word => Assert.Contains(word, fault.Message, StringComparison.Ordinal));
            Assert.Equal(part, File.ReadAllBytes(_folder.At("chats.jsonl.part")));
        }
        var same = Options(prompts, "chats.jsonl", resume: true);
        Refused(same with { Generation = same.Generation with { MaxTokens = 9 } }, "koala-mini", "maxTokens 24", "9");
        Refused(same with { Generation = same.Generation with { Temperature = 0.5 } }, "koala-mini", "temperature 0", "0.5");
        Refused(same with { Limit = 5 }, "koala-mini", "limit left out", "5");
        Refused(same with { System = "s" }, "koala-mini", "system left out", "'s'");
        Refused(same, "koala-nano", "target koala-mini", "koala-nano");
        Refused(same with { Prompts = Write("other.jsonl", """{"prompt":"a"}""") }, "koala-mini",
            "prompts prompts.jsonl", "other.jsonl");
        Refused(same with { Resume = false }, "koala-mini", "use resume");
        File.WriteAllText(_folder.At("there.jsonl"), "");
        Refused(same with { Out = _folder.At("there.jsonl") }, "koala-mini", "exists already");
        Refused(same with { Out = _folder.At("new.jsonl") }, "koala-mini", "nothing to resume");
    }

    [Fact]
    public void A_damaged_log_is_an_error_and_is_kept()
    {
        var prompts = MiniPrompts(4, turn => [turn]);
        Stop(prompts, "chats.jsonl", answers: 1);
        var part = _folder.At("chats.jsonl.part");
        var lines = File.ReadAllLines(part);
        foreach (var damaged in (string[][])[["{}", .. lines[1..]], [lines[0], "{\"row\":1}", .. lines[1..]],
            [lines[0], lines[1].Replace("\"turn\":0", "\"turn\":1", StringComparison.Ordinal)]])
        {
            File.WriteAllLines(part, damaged);
            Assert.Contains("chats.jsonl.part",
                Assert.Throws<KoalaException>(() => Regenerate(prompts, "chats.jsonl", resume: true)).Where,
                StringComparison.Ordinal);
            Assert.Equal(damaged, File.ReadAllLines(part));
        }
    }

    [Theory, InlineData(0), InlineData(6), InlineData(20), InlineData(int.MaxValue)]
    public void A_run_that_was_stopped_before_its_first_answer_begins_again_with_either_command(int length)
    {
        var prompts = MiniPrompts(6, turn => [turn]);
        Regenerate(prompts, "whole.jsonl");
        Stop(prompts, "stopped.jsonl", answers: 1);
        var part = _folder.At("stopped.jsonl.part");
        var record = File.ReadAllLines(part)[0] + "\n";
        foreach (var resume in (bool[])[false, true])
        {
            File.WriteAllText(part, record[..Math.Min(length, record.Length)]);
            Regenerate(prompts, "stopped.jsonl", resume: resume);
            Assert.Equal(File.ReadAllBytes(_folder.At("whole.jsonl")), File.ReadAllBytes(_folder.At("stopped.jsonl")));
            Assert.False(File.Exists(part));
            File.Delete(_folder.At("stopped.jsonl"));
        }
    }

    [Theory, InlineData("notes"), InlineData("notes\n"), InlineData("{}\n{}\n")]
    public void A_file_that_is_not_a_log_is_never_overwritten(string text)
    {
        var prompts = MiniPrompts(1, turn => [turn]);
        File.WriteAllText(_folder.At("chats.jsonl.part"), text);
        foreach (var resume in (bool[])[false, true])
        {
            var fault = Assert.Throws<KoalaException>(() => Regenerate(prompts, "chats.jsonl", resume: resume));
            Assert.Contains("chats.jsonl.part", fault.Where, StringComparison.Ordinal);
            Assert.Equal(text, File.ReadAllText(_folder.At("chats.jsonl.part")));
        }
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"assistant","content":"a"}]}""", "no message of the user")]
    [InlineData("""{"id":"x"}""", "prompt")]
    [InlineData("""{"prompt":"a","licence":7}""", "licence")]
    [InlineData("""{"turns":[]}""", "turns")]
    public void A_line_of_another_form_is_an_error_with_its_number(string line, string word)
    {
        var prompts = Write("prompts.jsonl", """{"prompt":"a"}""", line);
        var fault = Assert.Throws<KoalaException>(() => Regenerate(prompts, "chats.jsonl"));
        Assert.Contains($"{prompts}:2", fault.Where, StringComparison.Ordinal);
        Assert.Contains(word, fault.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.At("chats.jsonl.part")));
    }

    private RegenerationReport Regenerate(string prompts, string name, int maxTokens = 24, string target = "koala-mini",
        string? system = null, int? limit = null, bool resume = false, double temperature = 0) =>
        Regenerator.Run(ShippedModels.Of(target),
            Options(prompts, name, maxTokens, system, limit, resume, temperature));

    private RegenerationOptions Options(string prompts, string name, int maxTokens = 24, string? system = null,
        int? limit = null, bool resume = false, double temperature = 0) => new()
    {
        Prompts = prompts,
        Out = _folder.At(name),
        Limit = limit,
        System = system,
        Batch = 4,
        Resume = resume,
        Generation = new GenerationOptions { MaxTokens = maxTokens, Temperature = temperature, Seed = 5 },
    };

    // The run is cancelled as soon as this many answers have ended.
    private void Stop(string prompts, string name, int answers, double temperature = 0, bool resume = false)
    {
        using var cancel = new CancellationTokenSource();
        var progress = new Watch(value =>
        {
            if (value.Done - value.AnswersBefore >= answers) cancel.Cancel();
        });
        Assert.ThrowsAny<OperationCanceledException>(() =>
            Regenerator.Run(ShippedModels.Mini, Options(prompts, name, resume: resume, temperature: temperature),
                progress: progress, cancel: cancel.Token));
    }

    private string Write(string name, params string[] lines)
    {
        File.WriteAllLines(_folder.At(name), lines);
        return _folder.At(name);
    }

    private string MiniPrompts(int count, Func<string, string[]> turns) => Write("prompts.jsonl",
        [.. Conversations.Load(TestFiles.At("data", "chats-validation.jsonl.gz"))
            .Where(c => c.Messages[0].Content.Length < 300)
            .Take(count)
            .Select(c => JsonSerializer.Serialize(new { id = c.Id, turns = turns(c.Messages[0].Content) }))]);

    private sealed class Watch(Action<RegenerationProgress> act) : IProgress<RegenerationProgress>
    {
        public void Report(RegenerationProgress value) => act(value);
    }
}
