using System.Diagnostics;
using System.Text.Json;
using Koala.Cli;
using Koala.Lab.Evaluation;
using Koala.Lab.Runs;
using Koala.Lab.Sweeps;
using Koala.Lab.Tests.Sweeps;

namespace Koala.Lab.Tests.Cli;

/// <summary>
/// Two processes share a sweep and are killed at random times. No cell is lost, damaged or done twice, and the finished sweep equals one
/// that nobody disturbed.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Disturbed)]
public sealed class SweepKillTests : IDisposable
{
    private const int Seed = 20_261_129;
    private const int MostCells = 24;
    private static readonly int s_kills = PromptSample.Count(20, 2);
    private static readonly int s_cells = PromptSample.Count(MostCells, 2);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_sweep_on_two_processes_that_are_killed_ends_as_if_they_had_not_been()
    {
        var fields = SamplePlan.Fields(_folder).With("grid", $$"""{"layers": [1, 2], "seed": "0-{{s_cells / 2 - 1}}"}""");
        // The evaluation of a sample is short; all of docs/thorough.sh have one.
        if (s_cells == MostCells) fields = fields.WithEvaluation();
        File.WriteAllText(_folder.At("plan.json"), fields.ToJsonString());
        var started = TimeProvider.System.GetTimestamp();
        using (var undisturbed = Start("undisturbed")) Assert.True(Ended(undisturbed));
        var time = TimeProvider.System.GetElapsedTime(started);

        var random = new Random(Seed);
        var finished = new Dictionary<string, string>();
        Process[] processes = [Start("killed"), Start("killed")];
        for (var kill = 0; kill < s_kills; kill++)
        {
            // Between two kills the processes get a fraction of the time that is spread over the whole sweep.
            Thread.Sleep(random.NextDouble() * 2 * time / s_kills);
            var victim = random.Next(processes.Length);
            processes[victim].Kill();
            processes[victim].WaitForExit();
            processes[victim].Dispose();
            CheckFinished(finished);
            processes[victim] = Start("killed");
        }
        foreach (var process in processes)
        {
            Assert.True(Ended(process));
            process.Dispose();
        }
        CheckFinished(finished);
        Assert.Equal(s_cells, finished.Count);
        Assert.Equal(DisturbedTraining.WeightsOf(_folder.At("undisturbed")), DisturbedTraining.WeightsOf(_folder.At("killed")));
        Assert.Equal(Answers("undisturbed"), Answers("killed"));
        DisturbedTraining.AssertNothingIsLeft(_folder.At("killed"));
    }

    // What is finished once stays as it is: neither its record nor its head nor its reports are written again.
    private void CheckFinished(Dictionary<string, string> finished)
    {
        if (!Sweep.Exists(_folder.At("killed"))) return;
        var sweep = Sweep.Load(_folder.At("killed"));
        foreach (var cell in sweep.ReadStatus().Where(cell => cell.State == CellState.Finished).Select(cell => cell.Cell))
        {
            var run = sweep.RunOf(cell);
            var files = new DirectoryInfo(run.Path).GetFiles("*", SearchOption.AllDirectories)
                .Where(file => file.Name is not ("lock" or "lock.json"))
                .OrderBy(file => file.FullName, StringComparer.Ordinal)
                .Select(file => $"{file.FullName} {file.Length} {file.LastWriteTimeUtc:O}");
            var now = string.Join('\n', files);
            Assert.Equal(finished.GetValueOrDefault(cell.Name, now), now);
            finished[cell.Name] = now;
            Assert.Equal(Enumerable.Range(1, cell.Request.Training.Steps), MetricsLog.Read(run.MetricsFile).Select(line => line.Step));
        }
    }

    // Everything of the reports that does not depend on time.
    private string Answers(string name)
    {
        var sweep = Sweep.Load(_folder.At(name));
        return string.Join('\n',
            from cell in sweep.Plan.Cells
            from evaluation in cell.Evaluations
            let report = ReportFiles.Load(sweep.ReportOf(cell, evaluation))
            select JsonSerializer.Serialize(new
            {
                cell.Name, report.Tokens, report.AcceptanceLength, report.PositionAcceptance, report.NAlpha, report.EqualAnswers,
                Answers = report.Answers.Select(answer => new { answer.Prompt, answer.Speculative.Tokens, answer.Speculative.Accepted }),
            }));
    }

    private static bool Ended(Process process)
    {
        process.WaitForExit();
        // 1: the evaluations were disturbed, by the other process or by what else runs here.
        return process.ExitCode is 0 or 1;
    }

    private Process Start(string name)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", typeof(KoalaCommand).Assembly.Location, "sweep", _folder.At("plan.json"), "--out", _folder.At(name), "--quiet"])
        {
            Environment = { ["XDG_CACHE_HOME"] = _folder.At("cache"), ["OMP_WAIT_POLICY"] = "passive" },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return Process.Start(start)!;
    }
}
