using System.Diagnostics;
using Koala.Cli;

namespace Koala.Lab.Tests.Cli;

/// <summary>
/// The command is killed at random times and started again until its run is finished: the head is bit for bit that of an undisturbed
/// run, and nothing temporary is left.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Disturbed)]
public sealed class KillLoopTests : IDisposable
{
    private static readonly int s_runs = PromptSample.Count(24, 3);
    private static readonly int s_kills = PromptSample.Count(9, 2);

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<int> Runs => [.. Enumerable.Range(0, s_runs)];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Runs))]
    public void A_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(int number)
    {
        var training = PromptSample.Spread(DisturbedTraining.All, s_runs)[number];
        var random = new Random(20_261_129 + number);
        var few = _folder.At("few.jsonl");
        DisturbedTraining.WriteFewChats(few);
        var start = TimeProvider.System.GetTimestamp();
        Assert.Equal(0, Run(training.Arguments(_folder.At("undisturbed"), few), null));
        var time = TimeProvider.System.GetElapsedTime(start);
        var expected = DisturbedTraining.WeightsOf(_folder.At("undisturbed"));
        Assert.NotEqual("", expected);

        var (kills, finished) = (0, 0);
        while (kills < s_kills || finished == 0)
        {
            var run = _folder.At($"run-{finished}");
            TimeSpan? after = kills < s_kills ? random.NextDouble() * time : null;
            start = TimeProvider.System.GetTimestamp();
            if (Run(training.Arguments(run, few), after) is not { } exitCode)
            {
                kills++;
                continue;
            }
            Assert.True(exitCode == 0, $"{training}, seed {20_261_129 + number}, after {kills} kills: exit code {exitCode}");
            Assert.Equal(expected, DisturbedTraining.WeightsOf(run));
            DisturbedTraining.AssertNothingIsLeft(run, _folder.At("cache"));
            finished++;
            // The first run also tokenized the data. A time behind a run's end would kill nothing.
            if (after is not null) time = TimeProvider.System.GetElapsedTime(start);
        }
        TestContext.Current.SendDiagnosticMessage("{0}: {1} kills, {2} runs finished", training, kills, finished);
    }

    // The exit code; null if the process was killed.
    private int? Run(string[] arguments, TimeSpan? killAfter)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", typeof(KoalaCommand).Assembly.Location, .. arguments])
        {
            Environment = { ["XDG_CACHE_HOME"] = _folder.At("cache"), ["OMP_WAIT_POLICY"] = "passive" },
        };
        using var process = Process.Start(start)!;
        if (killAfter is { } time && !process.WaitForExit(time))
        {
            process.Kill();
            process.WaitForExit();
            return null;
        }
        process.WaitForExit();
        return process.ExitCode;
    }
}
