using System.Collections.Concurrent;
using System.Diagnostics;

namespace Koala.Lab.Tests;

/// <summary>The system's Python, for tests that compare with other programs' libraries and are skipped without them.</summary>
internal static class SystemPython
{
    private const string Program = "/usr/bin/python3";

    private static readonly ConcurrentDictionary<string, bool> s_isThere = new();

    /// <summary>Runs Python; the calling test is skipped if the module is not there, and fails if what it runs does.</summary>
    /// <param name="module">A module that is needed.</param>
    /// <param name="arguments">The arguments of Python.</param>
    /// <returns>What it printed.</returns>
    public static string Run(string module, params string[] arguments)
    {
        var isThere = s_isThere.GetOrAdd(module, name => File.Exists(Program) && Start(["-c", $"import {name}"]).ExitCode == 0);
        Assert.SkipUnless(isThere, $"no {module} for {Program}");
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
