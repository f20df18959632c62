using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Koala.Lab.Runs;

namespace Koala.Lab.Tests.Runs;

/// <summary>
/// Another process that locks a run until it is killed: this assembly, started with an environment variable that names
/// the run.
/// </summary>
internal sealed class HoldingProcess : IDisposable
{
    private const string Variable = "KOALA_TEST_HOLDS";
    private readonly Process _process;

    public HoldingProcess(RunFolder folder)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [typeof(HoldingProcess).Assembly.Location])
        {
            RedirectStandardOutput = true,
        };
        start.Environment[Variable] = folder.Path;
        _process = Process.Start(start)!;
        Assert.Equal("held", _process.StandardOutput.ReadLine());
    }

    public int Id => _process.Id;

    /// <summary>Kills the process as kill -9 does.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited) Kill();
        _process.Dispose();
    }

    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "Before the test runner's entry point.")]
    internal static void HoldIfAsked()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { Length: > 0 } path) return;
        using var held = RunLock.Acquire(RunFolder.Open(path));
        Console.WriteLine("held");
        Thread.Sleep(Timeout.Infinite);
    }
}
