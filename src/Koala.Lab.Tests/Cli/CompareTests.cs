namespace Koala.Lab.Tests.Cli;

/// <summary><c>koala compare</c> and <c>koala gate</c>, from evaluations of koala-nano's heads.</summary>
public sealed class CompareTests : IDisposable
{
    private static readonly string s_nano = ShippedModels.Folder("koala-nano");
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Two_reports_are_compared_and_a_gate_of_one_fails_the_other()
    {
        var (one, two) = (Evaluate("koala-nano-eagle-k1", "one.json"), Evaluate("prompt-lookup", "two.json"));
        var compared = CommandRun.Of("compare", one, two, "--json").AssertDone().Json;
        Assert.Equal((12, 1), (compared.GetProperty("prompts").GetInt32(), compared.GetProperty("seeds").GetInt32()));
        var acceptance = compared.GetProperty("figures")[0];
        Assert.Equal(AcceptanceLength(one), acceptance.GetProperty("a").GetDouble(), 1e-9);
        Assert.Equal(AcceptanceLength(two), acceptance.GetProperty("b").GetDouble(), 1e-9);
        Assert.Equal(AcceptanceLength(two) - AcceptanceLength(one), acceptance.GetProperty("change").GetDouble(), 1e-9);
        var copies = CommandRun.Of("compare", one, one).AssertDone().Output;
        Assert.Contains("acceptance: not distinguishable", copies, StringComparison.Ordinal);

        var gate = _folder.At("gate.json");
        CommandRun.Of("gate", gate, "--create", "--report", one, "--below", "1%").AssertDone();
        // The gate's own command measures the same head again; greedy answers are the same each time.
        Assert.Contains("all 2 thresholds passed", CommandRun.Of("gate", gate).AssertDone().Output, StringComparison.Ordinal);
        var better = AcceptanceLength(one) > AcceptanceLength(two) ? two : one;
        var failing = _folder.At("failing.json");
        CommandRun.Of("gate", failing, "--create", "--report", better == two ? one : two).AssertDone();
        var failed = CommandRun.Of("gate", failing, "--report", better);
        Assert.Equal(1, failed.ExitCode);
        Assert.StartsWith("FAILED  acceptanceLength.mean", failed.Output, StringComparison.Ordinal);
        Assert.Contains("repeat with: koala evaluate --target", failed.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_gate_measures_with_the_draft_length_that_was_chosen()
    {
        var report = _folder.At("chosen.json");
        CommandRun.Of("evaluate", "--target", s_nano, "--head", "prompt-lookup", "--prompts", Prompts(), "--max-tokens", "12", "--quiet",
            "--out", report).AssertDone();
        var length = CommandRun.Parse(File.ReadAllText(report)).GetProperty("draftLength").GetInt32();
        CommandRun.Of("gate", _folder.At("gate.json"), "--create", "--report", report).AssertDone();
        var command = CommandRun.Parse(File.ReadAllText(_folder.At("gate.json"))).GetProperty("command").EnumerateArray();
        Assert.Equal(["--draft-length", $"{length}"], command.Select(word => word.GetString()!).TakeLast(2));
    }

    [Fact]
    public void Heads_are_measured_in_turns()
    {
        var head = ShippedModels.Folder("koala-nano-eagle-k1");
        var compared = CommandRun.Of("compare", head, "prompt-lookup", "--target", s_nano, "--prompts", Prompts(), "--max-tokens", "12",
            "--draft-length", "2", "--quiet", "--json").AssertDone().Json;
        Assert.Equal((head, "prompt-lookup"), (compared.GetProperty("a").GetString(), compared.GetProperty("b").GetString()));
        Assert.Equal(8, compared.GetProperty("figures").GetArrayLength());
    }

    [Fact]
    public void Wrong_input_is_refused_in_one_line()
    {
        var report = Evaluate("prompt-lookup", "report.json");
        CommandRun.Of("compare", report, _folder.At("none.json")).AssertRefused("none.json", "does not exist");
        Directory.CreateDirectory(_folder.At("empty"));
        CommandRun.Of("compare", report, _folder.At("empty")).AssertRefused("holds no reports (*.json)");
        CommandRun.Of("compare", report, Prompts()).AssertRefused("is not a report of koala evaluate");
        CommandRun.Of("compare", report, report, "--prompts", Prompts()).AssertRefused("--prompts", "reports are compared");
        CommandRun.Of("compare", "prompt-lookup", "prompt-lookup", "--target", s_nano).AssertRefused("--prompts", "is missing");
        CommandRun.Of("gate", _folder.At("none.json")).AssertRefused("none.json", "does not exist");
        CommandRun.Of("gate", _folder.At("new.json"), "--create").AssertRefused("--report", "is missing");
        CommandRun.Of("gate", _folder.At("new.json"), "--below", "2%").AssertRefused("--below", "is about a new gate");
        CommandRun.Of("gate", _folder.At("new.json"), "--create", "--report", report, "--figures", "nothing")
            .AssertRefused("figure nothing", "has no nothing there");
        CommandRun.Of("gate", _folder.At("new.json"), "--create", "--report", report, "--below", "two").AssertRefused("below or above");
        File.WriteAllText(_folder.At("gate.json"), """{"thresholds":[{"figure":"lossless","value":true}]}""");
        CommandRun.Of("gate", _folder.At("gate.json")).AssertRefused("has no command that begins with evaluate");
        File.WriteAllText(_folder.At("gate.json"), """{"command":["evaluate"],"thresholds":[]}""");
        CommandRun.Of("gate", _folder.At("gate.json")).AssertRefused("has no thresholds, so nothing could fail");
        File.Copy(report, _folder.At("other.json"));
        var answers = File.ReadAllText(_folder.At("report.answers.jsonl"));
        var others = answers.Replace("\"prompt\":\"", "\"prompt\":\"other-", StringComparison.Ordinal);
        File.WriteAllText(_folder.At("other.answers.jsonl"), others);
        CommandRun.Of("compare", report, _folder.At("other.json"))
            .AssertRefused("has other prompts than", $"only {_folder.At("other.json")} has prompt other-");
        Assert.False(File.Exists(_folder.At("new.json")));
    }

    private string Evaluate(string head, string name)
    {
        var file = _folder.At(name);
        CommandRun.Of("evaluate", "--target", s_nano, "--head", head == "prompt-lookup" ? head : ShippedModels.Folder(head),
            "--prompts", Prompts(), "--max-tokens", "24", "--draft-length", "2", "--quiet", "--out", file).AssertDone();
        return file;
    }

    private static double AcceptanceLength(string report) =>
        CommandRun.Parse(File.ReadAllText(report)).GetProperty("acceptanceLength").GetProperty("mean").GetDouble();

    private string Prompts()
    {
        var file = _folder.At("prompts.jsonl");
        if (!File.Exists(file))
        {
            File.WriteAllLines(file, Enumerable.Range(1, 12)
                .Select(i => $$"""{"id":"p{{i}}","prompt":"Tell me {{i}} things about cats."}"""));
        }
        return file;
    }
}
