using System.Diagnostics;

namespace Koala.Kernel.Tests.Jupyter;

/// <summary>
/// The system's Python with Debian's Jupyter packages, and a data folder in which the kernel is installed for it.
/// </summary>
internal sealed class Python : IDisposable
{
    private const string Program = "/usr/bin/python3";

    private readonly TemporaryFolder _data = new();

    /// <summary>Prepares Python. If a module is missing, the test is skipped.</summary>
    public static Python With(params string[] modules)
    {
        Assert.SkipUnless(File.Exists(Program), $"no {Program}");
        foreach (var module in modules)
        {
            var start = new ProcessStartInfo(Program, ["-c", $"import {module}"]) { RedirectStandardError = true };
            using var process = Process.Start(start)!;
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.SkipUnless(process.ExitCode == 0, $"{Program} has no {module}");
        }
        return new Python();
    }

    /// <summary>Runs Python, and returns its exit code and everything that it printed.</summary>
    public (int ExitCode, string Text) Run(string folder, params string[] args)
    {
        using var process = Start(folder, args);
        var error = process.StandardError.ReadToEndAsync();
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, text + error.Result);
    }

    /// <summary>Starts Python; the caller ends it.</summary>
    public Process Start(string folder, params string[] args)
    {
        var start = new ProcessStartInfo(Program, args)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["JUPYTER_DATA_DIR"] = _data.Path;
        start.Environment["JUPYTER_RUNTIME_DIR"] = _data.At("runtime");
        start.Environment["JUPYTER_CONFIG_DIR"] = _data.At("config");
        return Process.Start(start)!;
    }

    /// <summary>Installs another kernel.</summary>
    public void Install(string kernel, string specification)
    {
        Directory.CreateDirectory(_data.At("kernels", kernel));
        File.WriteAllText(_data.At("kernels", kernel, "kernel.json"), specification);
    }

    public void Dispose() => _data.Dispose();

    private Python()
    {
        var command = Koala.Kernel.Jupyter.KernelProcess.CommandLine();
        var start = new ProcessStartInfo(command[0], [.. command[1..], "kernel", "install"]) { RedirectStandardOutput = true };
        start.Environment["JUPYTER_DATA_DIR"] = _data.Path;
        using var process = Process.Start(start)!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("koala-csharp: installed", text, StringComparison.Ordinal);
        Assert.Contains(".net-csharp: installed", text, StringComparison.Ordinal);
    }
}
