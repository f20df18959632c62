using System.Text.Json.Nodes;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Evaluation;
using Koala.Lab.Runs;
using Koala.Lab.Sweeps;
using Koala.Lab.Tests.Cli;

namespace Koala.Lab.Tests.Sweeps;

/// <summary>A sweep trains and evaluates each cell once, and refuses a folder that is not its own.</summary>
public sealed class SweepRunnerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_trained_cell_is_evaluated_once_and_its_row_has_the_figures_of_its_report()
    {
        var trained = Run(Fields.Read(), "trained");
        var sweep = Sweep.CreateOrLoad(_folder.At("sweep"), Fields.WithEvaluation().Read());
        var cell = Assert.Single(sweep.Plan.Cells);
        Copy(trained.RunOf(cell).Path, sweep.RunOf(cell).Path);
        Assert.Equal((CellState.Trained, 6, 0, 0.5), StatusOf(sweep));
        var record = File.GetLastWriteTimeUtc(sweep.RunOf(cell).RecordFile);
        Run(sweep.Plan);
        Assert.Equal((CellState.Finished, 6, 1, 1.0), StatusOf(sweep));
        Assert.Equal(record, File.GetLastWriteTimeUtc(sweep.RunOf(cell).RecordFile));

        var summary = sweep.Summarize();
        Assert.Equal((1, 1, "koala-nano"), (summary.Cells, summary.Finished, summary.Target));
        var row = Assert.Single(summary.Rows);
        Assert.Equal((1, 1, true, 0), (row.Layers, row.Seeds, row.Lossless, row.Disturbed));
        var report = ReportFiles.Load(sweep.ReportOf(cell, cell.Evaluations[0]));
        var answers = report.Answers.Select(answer => answer.Speculative).ToArray();
        Assert.Equal(12, answers.Length);
        var pooled = 1 + answers.Sum(answer => answer.Accepted) / (double)answers.Sum(answer => answer.Rounds);
        Assert.Equal(pooled, row.AcceptanceLength.Mean, 12);
        Assert.InRange(row.AcceptanceLength.Mean, row.AcceptanceLength.Low, row.AcceptanceLength.High);
        Assert.InRange(row.Speedup.Mean, row.Speedup.Low, row.Speedup.High);
        Assert.Equal(MetricsLog.Read(sweep.RunOf(cell).MetricsFile)[^1].Values["seconds"], row.TrainingSeconds.Mean);
        Assert.Equal(summary.ToString(), Sweep.Load(sweep.Folder).ToString());

        // Nothing is done again.
        var times = Times(sweep);
        Run(sweep.Plan);
        Assert.Equal(times, Times(sweep));

        // What other work disturbed is measured again when that is asked for, and nothing else.
        Assert.Equal(0, sweep.RemoveDisturbedReports());
        ReportFiles.Save(report with { Disturbances = ["busy"] }, sweep.ReportOf(cell, cell.Evaluations[0]));
        Assert.Equal(1, sweep.Summarize().Rows[0].Disturbed);
        Assert.Equal(1, sweep.RemoveDisturbedReports());
        Assert.False(File.Exists(ReportFiles.AnswersOf(sweep.ReportOf(cell, cell.Evaluations[0]))));
        Run(sweep.Plan);
        Assert.Equal(0, sweep.Summarize().Rows[0].Disturbed);
        Assert.Equal(record, File.GetLastWriteTimeUtc(sweep.RunOf(cell).RecordFile));
    }

    [Fact]
    public void A_cell_is_the_run_that_koala_train_makes()
    {
        var sweep = Run(Fields.With("grid", """{"layers": [1, 2]}"""));
        var cell = sweep.Plan.Cells[1];
        var chats = _folder.At("few.jsonl");
        CommandRun.Of("train", "--target", ShippedModels.Folder("koala-nano"), "--layers", "2", "--data", chats, "--validation", chats,
            "--steps", "6", "--save-every", "2", "--validate-every", "3", "--row-length", "64", "--medusa-heads", "2", "--threads", "1",
            "--out", _folder.At("run"), "--quiet").AssertDone();
        Assert.Equal(DisturbedTraining.WeightsOf(_folder.At("run")), DisturbedTraining.WeightsOf(sweep.RunOf(cell).Path));
    }

    [Fact]
    public void A_cell_that_fails_is_noted_and_the_others_go_on()
    {
        var failures = new List<string>();
        var fields = Fields.With("grid", """{"learningRate": [1e30, 0.001]}""");
        fields["base"]!["layers"] = 3;
        fields["base"]!["warmup"] = 0;
        fields["base"]!["adversary"] = new JsonObject { ["weight"] = 0.5, ["warmup"] = 2, ["width"] = 16 };
        var plan = fields.Read();
        var sweep = Sweep.CreateOrLoad(_folder.At("sweep"), plan);
        using var runner = new SweepRunner(sweep) { Failures = failures.Add };
        Assert.Equal(1, runner.Run(TestContext.Current.CancellationToken));
        Assert.Equal([CellState.Failed, CellState.Finished], sweep.ReadStatus().Select(cell => cell.State));
        Assert.StartsWith("cell learningRate-1e30 failed: step ", Assert.Single(failures), StringComparison.Ordinal);
        Assert.Equal(["learningRate-1e30"], sweep.Summarize().Failed.Keys);
    }

    [Fact]
    public void Another_plan_in_the_same_folder_is_refused_with_the_difference()
    {
        var folder = _folder.At("sweep");
        Sweep.CreateOrLoad(folder, Fields.With("grid", """{"layers": [1, 2]}""").Read());
        Assert.Contains("layers is 1, 2, 3 here and 1, 2 there", Refused(Fields.With("grid", """{"layers": "1-3"}""")).Message);
        var threads = Fields.With("threads", "2").With("grid", """{"layers": [1, 2]}""");
        Assert.Contains("threads is 2 here and 1 there", Refused(threads).Message);
        Assert.Contains("another order", Refused(Fields.With("grid", """{"layers": [2, 1]}""")).Message);

        KoalaException Refused(JsonObject plan) => Assert.Throws<KoalaException>(() => Sweep.CreateOrLoad(folder, plan.Read()));
    }

    [Fact]
    public void A_folder_with_something_else_is_refused_and_left_alone()
    {
        File.WriteAllText(_folder.At("notes.txt"), "mine");
        Assert.Contains("is not a sweep", Assert.Throws<KoalaException>(() => Sweep.CreateOrLoad(_folder.At("."), Fields.Read())).Message);
        Assert.Contains("sweep.json", Assert.Throws<KoalaException>(() => Sweep.Load(_folder.At("nothing"))).Message);
        Assert.Equal(["few.jsonl", "notes.txt"], Directory.GetFileSystemEntries(_folder.At(".")).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("run.json", "\"formatVersion\": 1", "\"formatVersion\": 2", "has format version 2")]
    [InlineData("run.json", "\"layers\": 1", "\"layers\": 2", "options were edited")]
    [InlineData("run.json", null, null, "its run.json is missing")]
    [InlineData("../../sweep.json", "\"formatVersion\": 1", "\"formatVersion\": 2", "has format version 2")]
    [InlineData("../../sweep.json", "\"layers\": 1", "\"layers\": 2", "holds a plan that was edited")]
    [InlineData("../../sweep.json", "{", "", "cannot be read as a sweep's record")]
    public void A_cell_or_a_record_that_was_changed_stops_the_sweep_before_it_begins(string file, string? from, string? to, string fault)
    {
        var plan = Fields.With("grid", """{"layers": [1, 2]}""").Read();
        var sweep = Run(plan);
        Directory.Delete(sweep.RunOf(plan.Cells[1]).Path, recursive: true);
        var path = Path.Combine(sweep.RunOf(plan.Cells[0]).Path, file);
        if (from is null) File.Delete(path);
        else File.WriteAllText(path, string.Join(to, File.ReadAllText(path).Split(from, 2)));
        Assert.Contains(fault, Assert.Throws<KoalaException>(() => Run(plan)).Message);
        Assert.False(Directory.Exists(sweep.RunOf(plan.Cells[1]).Path));
    }

    [Fact]
    public void Data_that_changed_stops_the_sweep_before_it_begins()
    {
        var plan = Fields.With("grid", """{"layers": [1, 2]}""").Read();
        var sweep = Run(plan);
        Directory.Delete(sweep.RunOf(plan.Cells[1]).Path, recursive: true);
        File.WriteAllLines(_folder.At("few.jsonl"), File.ReadAllLines(_folder.At("few.jsonl")).SkipLast(1));
        Assert.Contains("differs from the file", Assert.Throws<KoalaException>(() => Run(plan)).Message);
        Assert.False(Directory.Exists(sweep.RunOf(plan.Cells[1]).Path));
    }

    [Fact]
    public void A_cancelled_sweep_goes_on_where_it_stopped()
    {
        var plan = Fields.With("grid", """{"layers": [1, 2]}""").Read();
        var undisturbed = Run(plan);
        var sweep = Sweep.CreateOrLoad(_folder.At("cancelled"), plan);
        using var cancel = new CancellationTokenSource();
        using (var watcher = new FileSystemWatcher(Directory.CreateDirectory(Path.Combine(sweep.Folder, "cells")).FullName))
        {
            watcher.Created += (_, _) => cancel.Cancel();
            watcher.EnableRaisingEvents = true;
            using var runner = new SweepRunner(sweep);
            Assert.ThrowsAny<OperationCanceledException>(() => runner.Run(cancel.Token));
        }
        Assert.Contains(sweep.ReadStatus(), cell => cell.State is not CellState.Finished);
        Run(plan, "cancelled");
        Assert.Equal(DisturbedTraining.WeightsOf(undisturbed.Folder), DisturbedTraining.WeightsOf(sweep.Folder));
        Assert.All(sweep.ReadStatus(), cell => Assert.Equal(CellState.Finished, cell.State));
    }

    private static (CellState, int, int, double) StatusOf(Sweep sweep)
    {
        var cell = Assert.Single(sweep.ReadStatus());
        return (cell.State, cell.Step, cell.Evaluated, cell.Done);
    }

    private static void Copy(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    private static (string File, DateTime Time)[] Times(Sweep sweep) => [.. Directory
        .GetFiles(Path.Combine(sweep.Folder, "cells"), "*.json", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal)
        .Select(file => (file, File.GetLastWriteTimeUtc(file)))];

    private Sweep Run(JsonObject plan) => Run(plan.Read());

    private Sweep Run(SweepPlan plan, string folder = "sweep")
    {
        var sweep = Sweep.CreateOrLoad(_folder.At(folder), plan);
        using var runner = new SweepRunner(sweep) { Limits = DisturbanceLimits.None };
        Assert.Equal(0, runner.Run(TestContext.Current.CancellationToken));
        return sweep;
    }

    private JsonObject Fields => SamplePlan.Fields(_folder);
}
