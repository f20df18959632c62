using System.Diagnostics;

namespace Koala.Kernel.Tests.Jupyter;

/// <summary>
/// The system's Python with Debian's Jupyter packages, and the kernel made known to it in a folder of its own.
/// </summary>
internal sealed class Python : IDisposable
{
    private const string Program = "/usr/bin/python3";

    private readonly TemporaryFolder _data = new();

    /// <summary>Skips the test where a module is missing.</summary>
    public static Python With(params string[] modules)
    {
        Assert.SkipUnless(File.Exists(Program), $"no {Program}");
        foreach (var module in modules)
        {
            using var process = Process.Start(new ProcessStartInfo(Program, ["-c", $"import {module}"]) { RedirectStandardError = true })!;
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.SkipUnless(process.ExitCode == 0, $"{Program} has no {module}");
        }
        return new Python();
    }

    /// <summary>Runs it and returns exit code and everything it said.</summary>
    public (int ExitCode, string Text) Run(string folder, params string[] args)
    {
        var start = new ProcessStartInfo(Program, args) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["JUPYTER_DATA_DIR"] = _data.Path;
        start.Environment["JUPYTER_RUNTIME_DIR"] = _data.At("runtime");
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, text + error.Result);
    }

    public void Dispose() => _data.Dispose();

    private Python()
    {
        var command = Koala.Kernel.Jupyter.KernelProcess.CommandLine();
        using var process = Process.Start(new ProcessStartInfo(command[0], [.. command[1..], "kernel", "install"]) { Environment = { ["JUPYTER_DATA_DIR"] = _data.Path }, RedirectStandardOutput = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("koala-csharp: installed", text, StringComparison.Ordinal);
        Assert.Contains(".net-csharp: installed", text, StringComparison.Ordinal);
    }
}
