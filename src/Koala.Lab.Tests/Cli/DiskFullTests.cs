using System.Diagnostics;

namespace Koala.Lab.Tests.Cli;

/// <summary>
/// The disk of a run and of the cache is full after some number of pages: the command says so in one line, and when there is space it
/// ends the run as if nothing had happened.
/// </summary>
/// <remarks>
/// The disk is a real one in memory, so that the operating system decides which write fails. Root can mount it; elsewhere the test is
/// skipped, and <see cref="Runs.CheckpointCrashTests"/> fails every operation of a save without it.
/// </remarks>
[Trait(PromptSample.Category, PromptSample.Disturbed)]
public sealed class DiskFullTests : IDisposable
{
    private const int DiskBytes = 64 << 20;
    private const int PageBytes = 4096;
    private const string Cache = "XDG_CACHE_HOME";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_on_a_disk_that_is_full_at_any_time_ends_as_if_it_had_not_been()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess,
            "a small disk can be mounted by root on Linux only");
        var disk = Directory.CreateDirectory(_folder.At("disk")).FullName;
        Assert.SkipUnless(Shell("mount", "-t", "tmpfs", "-o", $"size={DiskBytes}", "tmpfs", disk) == 0,
            "this system lets nothing be mounted");
        var cache = Environment.GetEnvironmentVariable(Cache);
        try
        {
            Environment.SetEnvironmentVariable(Cache, Path.Combine(disk, "cache"));
            Try(disk);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Cache, cache);
            Shell("umount", disk);
        }
    }

    private void Try(string disk)
    {
        var few = _folder.At("few.jsonl");
        DisturbedTraining.WriteFewChats(few);
        var points = PromptSample.Count(200, 10);
        DisturbedTraining[] trainings = [.. PromptSample.Spread(DisturbedTraining.All.Where(t => !t.Shipped).ToList(), 2)];
        var failed = 0;
        foreach (var training in trainings)
        {
            Empty(disk);
            var run = Path.Combine(disk, "run");
            CommandRun.Of(training.Arguments(run, few)).AssertDone();
            var expected = DisturbedTraining.WeightsOf(run);
            var pages = (int)((DiskBytes - new DriveInfo(disk).AvailableFreeSpace) / PageBytes);
            for (var point = 0; point < points / trainings.Length; point++)
            {
                Empty(disk);
                var free = point * pages / (points / trainings.Length);
                Fill(Path.Combine(disk, "ballast"), DiskBytes - free * PageBytes);
                var stopped = CommandRun.Of(training.Arguments(run, few));
                if (stopped.ExitCode != 0)
                {
                    stopped.AssertRefused("No space left on device");
                    failed++;
                }
                File.Delete(Path.Combine(disk, "ballast"));
                CommandRun.Of(training.Arguments(run, few)).AssertDone();
                Assert.Equal($"{expected} with {free} free pages", $"{DisturbedTraining.WeightsOf(run)} with {free} free pages");
                DisturbedTraining.AssertNothingIsLeft(disk);
            }
        }
        Assert.InRange(failed, points * 3 / 4, points);
        TestContext.Current.SendDiagnosticMessage("the disk was full at {0} of {1} points", failed, points);
    }

    private static void Empty(string disk)
    {
        foreach (var folder in Directory.GetDirectories(disk)) Directory.Delete(folder, recursive: true);
    }

    // Takes space until no more than the rest is free, or none.
    private static void Fill(string path, long bytes)
    {
        using var file = File.Create(path, bufferSize: 1);
        var page = new byte[PageBytes];
        try
        {
            for (var written = 0L; written < bytes; written += PageBytes) file.Write(page);
        }
        catch (IOException)
        {
            // The disk has no room for the rest: its folders take pages too.
        }
    }

    private static int Shell(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }
}
