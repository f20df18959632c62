namespace Koala.Kernel.Tests.Notebooks;

/// <summary>
/// The cells of docs/your-own-head.md, unchanged: a head and a loss that a user wrote, with resume, control, decoding
/// and evaluation.
/// </summary>
public sealed class YourOwnHeadTests(TestKernel kernel) : IClassFixture<TestKernel>
{
    [Fact]
    public async Task The_cells_run_and_their_head_is_trained_resumed_and_measured_like_any_head()
    {
        var cells = Cells();
        Assert.Equal(3, cells.Length);
        Assert.InRange(cells.Sum(cell => cell.Split('\n').Count(line => line.Trim().Length > 0)), 20, 99);
        using var folder = new TemporaryFolder();
        await Run($"#r \"{TestFiles.Library}\"");
        foreach (var cell in cells[..2]) await Run(cell);
        // The test uses a smaller data file and a temporary folder. All other paths stay as they are, relative to the
        // root.
        var training = cells[2]
            .Replace("chats-train", "chats-validation", StringComparison.Ordinal)
            .Replace("CreateUnder(\"runs\"", $"CreateUnder(\"{folder.Path}\"", StringComparison.Ordinal);
        var trained = await Run($"Environment.CurrentDirectory = \"{TestFiles.Root}\";\n{training}");
        Assert.Contains("acceptance length", trained.Value, StringComparison.Ordinal);
        Assert.Equal("True", (await Run("report.Lossless == true")).Value);
        Assert.Equal("True", (await Run("report.AcceptanceLength.Mean > 1")).Value);

        // The control is a separate run. An interrupted run that is resumed ends with the same weights as a run without
        // an interruption.
        Assert.Equal("True", (await Run("""
            var control = RunFolder.Open(run.ControlFolder("none"));
            control.ReadRecord().State == RunState.Finished && control.ReadRecord().Kind == "train"
            """)).Value);
        Assert.Equal("True", (await Run($$"""
            class Stop(System.Threading.CancellationTokenSource source) : IProgress<TrainingProgress>
            {
                public void Report(TrainingProgress value)
                {
                    if (value.Metrics.Step == 7) source.Cancel();
                }
            }
            var again = RunFolder.Create("{{folder.At("again")}}");
            var source = new System.Threading.CancellationTokenSource();
            try
            {
                TrainingRun.Start(again, target, data, plan, ["a notebook"], new Stop(source), source.Token);
            }
            catch (OperationCanceledException)
            {
            }
            var interrupted = again.ReadRecord().State == RunState.Interrupted;
            TrainingRun.Resume(again, target, data);
            var controlAgain = RunFolder.Open(again.ControlFolder("none"));
            byte[] Weights(RunFolder folder) => File.ReadAllBytes(Path.Combine(folder.HeadFolder, "model.safetensors"));
            bool Same(RunFolder a, RunFolder b) => Weights(a).SequenceEqual(Weights(b));
            interrupted && Same(run, again) && Same(control, controlAgain)
            """)).Value);
        Assert.Equal("True", (await Run("MetricsLog.Read(run.MetricsFile)[^1].Values.ContainsKey(\"reverseKlLoss\")")).Value);
    }

    private async Task<CellRun> Run(string code)
    {
        var run = await kernel.RunAsync(code);
        Assert.True(run.Status == "ok", run.Traceback);
        return run;
    }

    private static string[] Cells()
    {
        var parts = File.ReadAllText(TestFiles.At("docs", "your-own-head.md")).Split("```csharp\n").Skip(1);
        return [.. parts.Select(part => part[..part.IndexOf("```", StringComparison.Ordinal)])];
    }
}
