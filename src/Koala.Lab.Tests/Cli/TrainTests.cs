using System.Diagnostics;
using System.Text.Json;
using Koala.Cli;
using Koala.Cli.Options;

namespace Koala.Lab.Tests.Cli;

/// <summary>A run of six steps on koala-nano with adversary and control, and its later uses.</summary>
public sealed class TrainTests(TrainTests.Trained trained) : IClassFixture<TrainTests.Trained>
{
    private static readonly string s_nano = ShippedModels.Folder("koala-nano");

    // The standard error output when the command is started by this name.
    private static string Typed(string name, params string[] line)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", typeof(KoalaCommand).Assembly.Location, .. line])
        {
            RedirectStandardError = true,
            Environment = { ["KOALA_COMMAND"] = name },
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return error;
    }

    [Fact]
    public void Trains_the_pair_and_reports_both()
    {
        Assert.Equal(0, trained.Run.ExitCode);
        foreach (var run in (string[])[trained.Out, Path.Combine(trained.Out, "control")])
        {
            Assert.True(File.Exists(Path.Combine(run, "head", "model.safetensors")));
            Assert.Equal(6, File.ReadAllLines(Path.Combine(run, "metrics.jsonl")).Length);
            Assert.True(File.Exists(Path.Combine(run, "results", "prompts.json")));
        }
        // The break-even acceptance length is a part of two further lines, and the comparison with the control has a row of it.
        Assert.Equal(5, trained.Run.Output.Split("acceptance length").Length - 1);
        var lines = trained.Run.Output.Split('\n', StringSplitOptions.TrimEntries);
        Assert.Equal(3, lines.Count(line => line.StartsWith("acceptance length", StringComparison.Ordinal)));
        Assert.Contains("A: try (control)", lines);
        Assert.Contains("adversary  weight 0.", trained.Run.Error, StringComparison.Ordinal);
        // What is about to be trained takes a few lines; all options are in run.json.
        var summary = trained.Run.Error.Split('\n').TakeWhile(line => !line.Contains("step ", StringComparison.Ordinal));
        Assert.InRange(summary.Count(), 6, 10);
        Assert.Contains("step 6/6", trained.Run.Error, StringComparison.Ordinal);
        Assert.Contains("(control)", trained.Run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void With_the_head_the_answer_equals_the_baseline()
    {
        string[] line = ["generate", "--target", s_nano, "--prompts", trained.Prompts, "--max-tokens", "16", "--json"];
        var baseline = CommandRun.Of(line).AssertDone();
        var speculative = CommandRun.Of([.. line, "--head", trained.Out]).AssertDone();
        Assert.Equal(baseline.Lines.Length, speculative.Lines.Length);
        foreach (var (a, s) in baseline.Lines.Zip(speculative.Lines, (a, s) => (CommandRun.Parse(a), CommandRun.Parse(s))))
        {
            Assert.Equal(a.GetProperty("tokens").GetRawText(), s.GetProperty("tokens").GetRawText());
            Assert.False(a.TryGetProperty("rounds", out _));
            Assert.Equal(["accepted", "bookkeepingMs", "depth", "draftMs", "drafted", "verifyMs"],
                s.GetProperty("rounds")[0].EnumerateObject().Select(p => p.Name).Order());
        }
    }

    [Fact]
    public void A_full_trace_has_candidates_and_the_bonus()
    {
        var round = CommandRun.Of("generate", "--target", s_nano, "--head", Path.Combine(trained.Out, "head"),
            "--prompt", "Name a colour.", "--max-tokens", "4", "--trace", "full", "--json")
            .AssertDone().Json.GetProperty("rounds")[0];
        Assert.Equal(["accepted", "p", "parent", "q", "text", "token"],
            round.GetProperty("candidates")[0].EnumerateObject().Select(p => p.Name).Order());
        Assert.True(round.TryGetProperty("bonus", out _));
    }

    [Fact]
    public void Evaluate_prints_one_document_and_writes_the_same_to_a_file()
    {
        using var folder = new TemporaryFolder();
        var run = CommandRun.Of("evaluate", "--target", s_nano, "--head", trained.Out, "--prompts", trained.Prompts,
            "--max-tokens", "8", "--dtype", "fp32",
            "--json", "--out", folder.At("new", "report.json")).AssertDone();
        var json = run.Json;
        Assert.True(json.GetProperty("lossless").GetBoolean());
        Assert.Equal("koala-nano", json.GetProperty("target").GetString());
        Assert.Equal("try", json.GetProperty("head").GetString());
        foreach (var name in (string[])["device", "dtype", "threads", "temperature", "prompts", "skipped", "tokens",
            "acceptanceLength", "positionAcceptance", "baseline", "speculative", "speedup", "round", "byCategory"])
            Assert.True(json.TryGetProperty(name, out _), name);
        Assert.Equal(run.Output, File.ReadAllText(folder.At("new", "report.json")));
    }

    [Fact]
    public void An_evaluation_without_a_value_has_null_instead()
    {
        // Each answer has one token, so there is no round to measure.
        var json = CommandRun.Of("evaluate", "--target", s_nano, "--head", trained.Out, "--prompts", trained.Prompts,
            "--max-tokens", "1", "--dtype", "fp32", "--json", "--quiet")
            .AssertDone().Json;
        Assert.Equal(JsonValueKind.Null, json.GetProperty("speedup").GetProperty("median").ValueKind);
    }

    [Fact]
    public void Inspect_recognises_a_run_and_a_head()
    {
        var run = CommandRun.Of("inspect", trained.Out, "--json").AssertDone().Json;
        Assert.Equal("finished", run.GetProperty("record").GetProperty("state").GetString());
        Assert.Equal(6, run.GetProperty("lastMetrics").GetProperty("step").GetInt32());
        var head = CommandRun.Of("inspect", Path.Combine(trained.Out, "head"), "--json").AssertDone().Json;
        Assert.Equal(2, head.GetProperty("head").GetProperty("layers").GetInt32());
        Assert.Equal("koala-nano", head.GetProperty("target").GetProperty("name").GetString());
    }

    [Fact]
    public void A_head_for_another_target_is_refused_with_both_named() =>
        CommandRun.Of("generate", "--target", ShippedModels.Folder("koala-mini"), "--head", trained.Out, "--prompt",
            "a")
            .AssertRefused("koala-nano", "koala-mini");

    [Fact]
    public void A_finished_run_is_unchanged_and_an_existing_folder_is_refused()
    {
        var before = File.ReadAllBytes(Path.Combine(trained.Out, "run.json"));
        Assert.Contains("is finished: all", CommandRun.Of("train", "--resume", trained.Out).AssertDone().Error,
            StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(trained.Out, "run.json")));
        CommandRun.Of([.. trained.Line(trained.Out)]).AssertRefused("is a run already", "--resume");
    }

    [Fact]
    public void A_quiet_run_without_a_folder_prints_its_new_folder_as_its_only_line()
    {
        string[] line = [.. trained.Line("").SkipLast(2), "--quiet"];
        var run = CommandRun.Of(line).AssertDone();
        var folder = Assert.Single(run.Lines);
        Assert.Equal("", run.Error);
        Assert.True(File.Exists(Path.Combine(folder, "head", "model.safetensors")), folder);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void A_control_is_named_after_its_run()
    {
        Assert.Equal("try", HeadLocation.NameOf(trained.Out));
        Assert.Equal("try (control)", HeadLocation.NameOf(Path.Combine(trained.Out, "control")));
        Assert.Equal("try (control)", HeadLocation.NameOf(Path.Combine(trained.Out, "control", "head")));
        Assert.Equal("control", HeadLocation.NameOf("control"));
    }

    [Fact]
    public void Invalid_input_leaves_no_run_folder_behind()
    {
        using var folder = new TemporaryFolder();
        CommandRun.Of([.. trained.Line(folder.At("out")).Select(a => a == "2" ? "0" : a)]).AssertRefused("--layers");
        CommandRun.Of("train", "--target", s_nano, "--data", folder.At("none.jsonl"), "--out", folder.At("out"))
            .AssertRefused("none.jsonl");
        Assert.False(Path.Exists(folder.At("out")));
    }

    [Fact]
    public void Interrupted_and_resumed_the_head_is_bit_identical()
    {
        using var folder = new TemporaryFolder();
        var interrupted = CommandRun.Interrupted("step 2/6", [.. trained.Line(folder.At("out"))]);
        Assert.Equal(130, interrupted.ExitCode);
        Assert.Contains($"koala train --resume {folder.At("out")}", interrupted.Error, StringComparison.Ordinal);
        CommandRun.Of("generate", "--target", s_nano, "--head", folder.At("out"), "--prompt", "a")
            .AssertRefused("has no head yet: it is interrupted", "--resume");
        Assert.Contains($"go on with ./koala train --resume {folder.At("out")}",
            Typed("./koala", "generate", "--target", s_nano, "--head", folder.At("out"), "--prompt", "a"),
            StringComparison.Ordinal);

        CommandRun.Of("train", "--resume", folder.At("out"), "--quiet").AssertDone();
        foreach (var head in (string[])["head", Path.Combine("control", "head")])
            Assert.Equal(File.ReadAllBytes(Path.Combine(trained.Out, head, "model.safetensors")),
                File.ReadAllBytes(folder.At("out", head, "model.safetensors")));
    }

    [Fact]
    public void An_eagle_head_is_trained_with_every_option_of_its_own_and_changes_no_answer()
    {
        using var folder = new TemporaryFolder();
        var line = trained.Line(folder.At("out")).ToList();
        line[line.IndexOf("medusa")] = "eagle";
        line.RemoveRange(line.IndexOf("--with-controls"), 2);
        CommandRun.Of([.. line, "--draft-vocabulary", "100", "--fused-features", "--bias", "--training-time-test", "2",
            "--feature-noise", "0.1", "--schedule", "linear", "--clip", "0.5", "--clip-by", "value",
            "--loss", "smooth-l1", "--loss", "kl=0.5@0.9"]).AssertDone();
        var options = JsonDocument.Parse(File.ReadAllText(folder.At("out", "run.json"))).RootElement.GetProperty("options");
        Assert.Equal("""{"kind":"eagle","draftVocabulary":100,"fusedFeatures":true,"bias":true,"layers":2}""",
            Compact(options.GetProperty("head")));
        Assert.Equal("""[{"name":"smooth-l1","weight":1,"decay":1},{"name":"kl","weight":0.5,"decay":0.9}]""",
            Compact(options.GetProperty("training").GetProperty("losses")));
        Assert.Equal(("linear", "value", 2),
            (options.GetProperty("training").GetProperty("schedule").GetString(),
                options.GetProperty("training").GetProperty("clipBy").GetString(),
                options.GetProperty("training").GetProperty("trainingTimeTest").GetInt32()));
        Assert.Contains("\"klLoss\"", File.ReadAllText(folder.At("out", "metrics.jsonl")), StringComparison.Ordinal);

        string[] ask = ["generate", "--target", s_nano, "--prompts", trained.Prompts, "--max-tokens", "12", "--json"];
        var (baseline, speculative) = (CommandRun.Of(ask).AssertDone(),
            CommandRun.Of([.. ask, "--head", folder.At("out"), "--draft-length", "4"]).AssertDone());
        foreach (var (a, s) in baseline.Lines.Zip(speculative.Lines, (a, s) => (CommandRun.Parse(a), CommandRun.Parse(s))))
            Assert.Equal(a.GetProperty("tokens").GetRawText(), s.GetProperty("tokens").GetRawText());

        static string Compact(JsonElement element) => JsonSerializer.Serialize(element);
    }

    /// <summary>Trained once for all tests here.</summary>
    public sealed class Trained : IDisposable
    {
        private readonly TemporaryFolder _folder = new();

        public Trained()
        {
            File.WriteAllLines(Data, Enumerable.Range(0, 12).Select(i => JsonSerializer.Serialize(new
            {
                id = $"c-{i}",
                source = "ours",
                licence = "Apache-2.0",
                category = "counting",
                messages = new[]
                {
                    new { role = "user", content = $"Count from {i} on, please." },
                    new { role = "assistant", content = string.Join(", ", Enumerable.Range(i, 12)) + "." },
                },
            })));
            File.WriteAllLines(Prompts, ["""{"prompt":"Name a colour."}""", """{"prompt":"Count to three."}"""]);
            Run = CommandRun.Of([.. Line(Out), "--evaluate", Prompts, "--limit", "2", "--max-tokens", "8"]);
        }

        public string Out => _folder.At("try");

        public string Prompts => _folder.At("prompts.jsonl");

        internal CommandRun Run { get; }

        private string Data => _folder.At("chats.jsonl");

        public IEnumerable<string> Line(string folder) =>
        [
            "train", "--target", ShippedModels.Folder("koala-nano"), "--head", "medusa", "--layers", "2", "--data",
            Data, "--validation", Data, "--steps", "6", "--batch", "2",
            "--row-length", "32", "--warmup", "2", "--validate-every", "1", "--save-every", "4", "--adversary-weight",
            "0.1", "--adversary-warmup", "2", "--with-controls", "none",
            "--out", folder,
        ];

        public void Dispose() => _folder.Dispose();
    }
}
