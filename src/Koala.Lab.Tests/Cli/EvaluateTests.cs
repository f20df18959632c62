using System.Text.Json;

namespace Koala.Lab.Tests.Cli;

public sealed class EvaluateTests : IDisposable
{
    private static readonly string s_nano = ShippedModels.Folder("koala-nano");
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Prompt_lookup_is_measured_by_its_name_with_a_draft_length_chosen_and_printed()
    {
        var run = CommandRun.Of("evaluate", "--target", s_nano, "--head", "prompt-lookup", "--prompts", Prompts(),
            "--max-tokens", "16", "--dtype", "fp32", "--json")
            .AssertDone();
        Assert.Equal(("prompt-lookup", true, true),
            (run.Json.GetProperty("head").GetString(), run.Json.GetProperty("lossless").GetBoolean(),
                run.Json.GetProperty("draftLengthChosen").GetBoolean()));
        var length = run.Json.GetProperty("draftLength").GetInt32();
        Assert.InRange(length, 1, 10);
        Assert.Contains($"draft length {length}, chosen", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_draft_model_is_measured_in_batches()
    {
        var run = CommandRun.Of("evaluate", "--target", s_nano, "--draft-model", s_nano, "--prompts", Prompts(),
            "--max-tokens", "12", "--dtype", "fp32", "--draft-length", "2", "--batch", "2", "--quiet", "--json")
            .AssertDone();
        Assert.Equal(("koala-nano", 2, 2, false),
            (run.Json.GetProperty("head").GetString(), run.Json.GetProperty("batch").GetInt32(),
                run.Json.GetProperty("draftLength").GetInt32(),
                run.Json.GetProperty("draftLengthChosen").GetBoolean()));
        Assert.Equal(3, run.Json.GetProperty("acceptanceLength").GetProperty("mean").GetDouble(), 6);
        Assert.Equal("", run.Error);
    }

    [Fact]
    public void A_head_is_measured_layer_by_layer()
    {
        var (head, file) = (ShippedModels.Folder("koala-nano-eagle-k2"), _folder.At("layers.json"));
        var run = CommandRun.Of("evaluate", "--target", s_nano, "--head", head, "--prompts", Prompts(), "--max-tokens", "12",
            "--by-layer", "--out", file, "--quiet").AssertDone();
        Assert.Contains("stopped after", run.Output, StringComparison.Ordinal);
        var rows = CommandRun.Parse(File.ReadAllText(file)).GetProperty("layers");
        Assert.Equal([1, 2], rows.EnumerateArray().Select(row => row.GetProperty("layers").GetInt32()));

        CommandRun.Of("evaluate", "--target", s_nano, "--head", "prompt-lookup", "--prompts", Prompts(), "--by-layer")
            .AssertRefused("--by-layer", "prompt-lookup is none");
    }

    [Fact]
    public void An_assumed_acceptance_predicts_a_speedup()
    {
        var run = CommandRun.Of("evaluate", "--target", s_nano, "--untrained", "eagle", "--draft-length", "2",
            "--assume-acceptance", "0.8,0.7", "--json").AssertDone();
        var row = run.Json.GetProperty("byDraftLength").EnumerateArray().Last();
        Assert.Equal(2.36, row.GetProperty("acceptanceLength").GetDouble(), 9);
        Assert.Equal(2.36 / row.GetProperty("breakEven").GetDouble(), row.GetProperty("speedup").GetDouble(), 9);
        CommandRun.Of("evaluate", "--target", s_nano, "--untrained", "eagle", "--assume-acceptance", "80%")
            .AssertRefused("--assume-acceptance", "80%");
    }

    [Theory, InlineData("medusa", 4), InlineData("eagle", 10)]
    public void An_untrained_head_gives_the_break_even_acceptance_length(string kind, int longest)
    {
        var file = _folder.At("report.json");
        var run = CommandRun.Of("evaluate", "--target", s_nano, "--untrained", kind, "--layers", "2", "--out", file)
            .AssertDone();
        Assert.Contains("acceptance length", run.Output, StringComparison.Ordinal);
        var json = CommandRun.Parse(File.ReadAllText(file));
        Assert.Equal($"{kind} K=2, untrained", json.GetProperty("head").GetString());
        Assert.True(json.GetProperty("breakEven").GetDouble() > 0);
        Assert.Equal(longest, json.GetProperty("draftLength").GetInt32());
        Assert.Equal([1, 2, 3, .. longest > 4 ? [5, 7, longest] : new[] { longest }],
            json.GetProperty("byDraftLength")
                .EnumerateArray()
                .Select(row => row.GetProperty("draftLength").GetInt32()));
        Assert.Equal(JsonValueKind.Null, json.GetProperty("provenance").GetProperty("prompts").ValueKind);
    }

    [Fact]
    public void Options_that_exclude_each_other_are_refused()
    {
        string[] line = ["evaluate", "--target", s_nano];
        CommandRun.Of([.. line, "--prompts", Prompts()]).AssertRefused("--head", "is missing");
        CommandRun.Of([.. line, "--head", "prompt-lookup"]).AssertRefused("--prompts", "is missing");
        CommandRun.Of([.. line, "--head", "prompt-lookup", "--draft-model", s_nano, "--prompts", Prompts()])
            .AssertRefused("--draft-model", "one of them drafts");
        CommandRun.Of([.. line, "--untrained", "medusa", "--prompts", Prompts()]).AssertRefused("--prompts", "uses none");
        CommandRun.Of([.. line, "--untrained", "medusa", "--head", "prompt-lookup"]).AssertRefused("--untrained");
        CommandRun.Of([.. line, "--untrained", "medusa", "--bias"]).AssertRefused("--bias", "does not apply");
        CommandRun.Of([.. line, "--untrained", "medusa", "--draft-length", "5"]).AssertRefused("--draft-length", "at most 4");
        CommandRun.Of([.. line, "--untrained", "medusa", "--batch", "0"]).AssertRefused("--batch");
        CommandRun.Of([.. line, "--head", "prompt-lookup", "--layers", "2", "--prompts", Prompts()])
            .AssertRefused("--layers", "--untrained");
        CommandRun.Of([.. line, "--untrained", "medusae"]).AssertRefused("--untrained", "did you mean medusa");
        CommandRun.Of([.. line, "--draft-model", ShippedModels.Folder("koala-mini"), "--prompts", Prompts()])
            .AssertRefused("--draft-model", "koala-mini", "koala-nano");
    }

    [Fact]
    public void Generate_drafts_by_prompt_lookup_and_by_a_model_with_the_same_answer()
    {
        string[] line = ["generate", "--target", s_nano, "--prompt", "Name a colour.", "--max-tokens", "20", "--dtype",
            "fp32", "--json"];
        var baseline = CommandRun.Of(line).AssertDone().Json.GetProperty("text").GetString();
        var lookup = CommandRun.Of([.. line, "--head", "prompt-lookup"]).AssertDone();
        Assert.Equal(baseline, lookup.Json.GetProperty("text").GetString());
        Assert.Contains("chosen for this device", lookup.Error, StringComparison.Ordinal);
        var model = CommandRun.Of([.. line, "--draft-model", s_nano, "--draft-length", "3"]).AssertDone();
        Assert.Equal(baseline, model.Json.GetProperty("text").GetString());
        Assert.DoesNotContain("chosen", model.Error, StringComparison.Ordinal);
        Assert.All(model.Json.GetProperty("rounds").EnumerateArray(),
            round => Assert.Equal(3, round.GetProperty("accepted").GetInt32()));
        CommandRun.Of("generate", "--target", s_nano, "--prompt", "a", "--draft-length", "3")
            .AssertRefused("--draft-length", "nothing drafts");
    }

    private string Prompts()
    {
        var file = _folder.At("prompts.jsonl");
        File.WriteAllLines(file, ["""{"prompt":"Name a colour."}""", """{"prompt":"Why is the sky blue?"}"""]);
        return file;
    }
}
