using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Koala.Lab.Tests.Training;

/// <summary>
/// Takes the steps of <see cref="ResumedStepsTests"/> in another process, which has computed nothing before: this
/// assembly, started with an environment variable.
/// </summary>
internal static class ResumingProcess
{
    private const string Variable = "KOALA_TEST_RESUMES";

    /// <summary>Resumes a run before each of its steps, the last step first, and takes that step.</summary>
    /// <param name="kind">The kind of head.</param>
    /// <param name="states">The folder that holds the state after each step.</param>
    /// <returns>The metrics of each step as text, in the order of the steps.</returns>
    public static IReadOnlyList<string> Run(string kind, string states)
    {
        var dotnet = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        var start = new ProcessStartInfo(dotnet, [typeof(ResumingProcess).Assembly.Location]) { RedirectStandardOutput = true };
        start.Environment[Variable] = $"{kind} {states}";
        using var process = Process.Start(start)!;
        string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return [.. lines.Reverse()];
    }

    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "Before the test runner's entry point.")]
    internal static void ResumeIfAsked()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { Length: > 0 } asked) return;
        LibTorchStart.Initialize();
        var parts = asked.Split(' ', 2);
        foreach (var line in ResumedStepsTests.LastFirst(parts[0], parts[1])) Console.WriteLine(line);
        Environment.Exit(0);
    }
}
