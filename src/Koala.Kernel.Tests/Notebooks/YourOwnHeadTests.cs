namespace Koala.Kernel.Tests.Notebooks;

/// <summary>
/// The cells of docs/your-own-head.md, as they stand there: a head and a loss of a user's own, with resume, control,
/// decoding and evaluation.
/// </summary>
public sealed class YourOwnHeadTests(TestKernel kernel) : IClassFixture<TestKernel>
{
    [Fact]
    public async Task The_documents_cells_run_and_what_they_define_is_trained_resumed_and_measured_as_any_head()
    {
        var cells = Cells();
        Assert.Equal(3, cells.Length);
        Assert.InRange(cells.Sum(cell => cell.Split('\n').Count(line => line.Trim().Length > 0)), 20, 99);
        using var folder = new TemporaryFolder();
        await Run($"#r \"{TestFiles.Library}\"");
        foreach (var cell in cells[..2]) await Run(cell);
        // Less to read than the document's data; all other paths as they are, from the root.
        var trained = await Run($"Environment.CurrentDirectory = \"{TestFiles.Root}\";\n" + cells[2]
            .Replace("chats-train", "chats-validation", StringComparison.Ordinal).Replace("CreateUnder(\"runs\"", $"CreateUnder(\"{folder.Path}\"", StringComparison.Ordinal));
        Assert.Contains("acceptance length", trained.Value, StringComparison.Ordinal);
        Assert.Equal("True", (await Run("report.Lossless == true")).Value);
        Assert.Equal("True", (await Run("report.AcceptanceLength.Mean > 1")).Value);

        // The control is a run of its own; an interrupted run ends as the other.
        Assert.Equal("True", (await Run("RunFolder.Open(run.ControlFolder).ReadRecord().State == RunState.Finished && RunFolder.Open(run.ControlFolder).ReadRecord().Kind == \"train\"")).Value);
        Assert.Equal("True", (await Run($$"""
            class Stop(System.Threading.CancellationTokenSource source) : IProgress<TrainingProgress> { public void Report(TrainingProgress value) { if (value.Metrics.Step == 7) source.Cancel(); } }
            var again = RunFolder.Create("{{folder.At("again")}}");
            var source = new System.Threading.CancellationTokenSource();
            try { TrainingRun.Start(again, target, data, plan, ["a notebook"], new Stop(source), source.Token); } catch (OperationCanceledException) { }
            var interrupted = again.ReadRecord().State == RunState.Interrupted;
            TrainingRun.Resume(again, target, data);
            byte[] Weights(RunFolder of) => File.ReadAllBytes(Path.Combine(of.HeadFolder, "model.safetensors"));
            interrupted && Weights(run).SequenceEqual(Weights(again)) && Weights(RunFolder.Open(run.ControlFolder)).SequenceEqual(Weights(RunFolder.Open(again.ControlFolder)))
            """)).Value);
        Assert.Equal("True", (await Run("MetricsLog.Read(run.MetricsFile)[^1].Values.ContainsKey(\"reverseKlLoss\")")).Value);
    }

    private async Task<CellRun> Run(string code)
    {
        var run = await kernel.RunAsync(code);
        Assert.True(run.Status == "ok", run.Traceback);
        return run;
    }

    private static string[] Cells() => [.. File.ReadAllText(TestFiles.At("docs", "your-own-head.md")).Split("```csharp\n").Skip(1).Select(part => part[..part.IndexOf("```", StringComparison.Ordinal)])];
}
