using Koala.Lab.Evaluation;
using Koala.Lab.Tests.Cli;

namespace Koala.Lab.Tests.Evaluation;

public sealed class CostReportTests : IDisposable
{
    private static readonly string s_measured = TestFiles.At("docs", "results", "xeon", "mt-bench-koala-mini-eagle-k2.json");
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // 100 tokens/s alone and 125 with the head.
    private static EvaluationReport Report(double low = 1.2) => ReportFiles.Load(s_measured) with
    {
        Baseline = new Throughput(100, 10),
        Speculative = new Throughput(125, 10),
        Speedup = new MedianInterval(1.25, low, 1.3),
    };

    private string Save(EvaluationReport report, string name)
    {
        var file = _folder.At(name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        ReportFiles.Save(report, file);
        return file;
    }

    // A run that trained for half an hour, with a report.
    private string Run(EvaluationReport report)
    {
        File.Copy(TestFiles.At("src", "Koala.Lab.Tests", "golden", "commit-0602512", "finished", "run.json"), MadeFolder("run/run.json"));
        File.WriteAllText(_folder.At("run/metrics.jsonl"), """{"step":1,"seconds":20}""" + "\n" + """{"step":2,"seconds":1800}""" + "\n");
        Save(report, "run/results/mt-bench.json");
        return _folder.At("run");
    }

    private string MadeFolder(string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder.At(file))!);
        return _folder.At(file);
    }

    [Fact]
    public void A_million_tokens_cost_their_hours()
    {
        var row = Assert.Single(CostReport.Create([Save(Report(), "r.json")], rate: 3.6).Heads);
        // A million tokens at 100 tokens/s take 10,000 s.
        Assert.Equal((10_000.0 / 3600, 10), (row.Alone.HoursPerMillionTokens, Math.Round(row.Alone.PerMillionTokens, 9)));
        Assert.Equal(8, row.WithHead.PerMillionTokens, 9);
        Assert.Equal((null, null), (row.Training, row.PaysAfterTokens));
    }

    [Theory, InlineData(false), InlineData(true)]
    public void A_head_of_a_run_has_paid_for_itself_after_what_its_training_cost(bool byFile)
    {
        var run = Run(Report());
        var file = byFile ? Path.Combine(run, "results", "mt-bench.json") : run;
        var row = Assert.Single(CostReport.Create([file], rate: 3.6, trainingRate: 8).Heads);
        Assert.Equal((0.5, 4), (row.TrainingHours, row.Training));
        // 2 are saved per million tokens.
        Assert.Equal(2e6, row.PaysAfterTokens!.Value, 3);
    }

    [Fact]
    public void A_head_whose_speedup_is_not_distinguishable_never_pays()
    {
        var report = CostReport.Create([Run(Report(low: 0.9))], rate: 1);
        Assert.Null(report.Heads[0].PaysAfterTokens);
        Assert.Contains("not distinguishable", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_command_prints_a_row_for_each_report()
    {
        var (run, file) = (Run(Report()), Save(Report(), "r.json"));
        var printed = CommandRun.Of("cost", run, file, "--rate", "3.6", "--currency", "EUR").AssertDone();
        Assert.Contains("EUR per million tokens", printed.Output, StringComparison.Ordinal);
        Assert.Contains("0.9 million tokens", printed.Output, StringComparison.Ordinal);
        Assert.Contains("unknown", printed.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_input_is_refused()
    {
        var file = Save(Report(), "r.json");
        CommandRun.Of("cost", file, "--rate", "-1").AssertRefused("--rate");
        CommandRun.Of("cost", file).AssertRefused("--rate");
        CommandRun.Of("cost", _folder.At("none.json"), "--rate", "1").AssertRefused("none.json");
        Directory.CreateDirectory(_folder.At("empty"));
        CommandRun.Of("cost", _folder.At("empty"), "--rate", "1").AssertRefused("no run.json");
        var disturbed = Save(Report() with { Baseline = new Throughput(double.NaN, double.NaN) }, "disturbed.json");
        CommandRun.Of("cost", disturbed, "--rate", "1").AssertRefused("disturbed.json", "no speeds");
    }
}
