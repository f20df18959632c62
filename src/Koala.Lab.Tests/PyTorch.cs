using System.Diagnostics;

namespace Koala.Lab.Tests;

/// <summary>The system's Python with PyTorch, for tests that compare with it and are skipped without it.</summary>
internal static class PyTorch
{
    private const string Program = "/usr/bin/python3";

    private static readonly Lazy<bool> s_isThere = new(() => File.Exists(Program) && Start(["-c", "import torch"]).ExitCode == 0);

    /// <summary>Runs a script; the calling test is skipped if there is no PyTorch, and fails if the script does.</summary>
    /// <returns>What the script printed.</returns>
    public static string Run(params string[] arguments)
    {
        Assert.SkipUnless(s_isThere.Value, $"no PyTorch for {Program}");
        var (exitCode, text) = Start(arguments);
        Assert.True(exitCode == 0, text);
        return text;
    }

    private static (int ExitCode, string Text) Start(string[] arguments)
    {
        var start = new ProcessStartInfo(Program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, text + error.Result);
    }
}
