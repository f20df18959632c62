using System.Diagnostics;
using Koala.Lab;
using Koala.Lab.Runs;

namespace Koala.Cli.Bundling;

/// <summary>A self-contained build of the command for Linux x64 that brings no libtorch.</summary>
/// <param name="sources">The clone.</param>
/// <param name="scratch">Where the build keeps its intermediate files, so that the clone's own build stays as it is.</param>
/// <param name="output">Where the result goes.</param>
internal sealed class DotnetPublish(string sources, string scratch, string output)
{
    /// <exception cref="KoalaException">There is no .NET SDK, or the build failed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the build is ended.</exception>
    public void Run(CancellationToken cancel)
    {
        using var process = Start();
        using var ending = cancel.Register(() => process.Kill(entireProcessTree: true));
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        var log = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        cancel.ThrowIfCancellationRequested();
        if (process.ExitCode == 0) return;
        // The first error is the cause; the rest follow from it.
        var lines = $"{log}\n{errors.Result}".Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var cause = lines.FirstOrDefault(line => line.Contains("error", StringComparison.OrdinalIgnoreCase)) ?? lines.LastOrDefault() ?? $"exit code {process.ExitCode}";
        throw new KoalaException("dotnet publish", $"failed ({cause})", "see that `dotnet build` works in the clone and that packages can be restored");
    }

    private Process Start()
    {
        var start = new ProcessStartInfo("dotnet") { WorkingDirectory = sources, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])[
            "publish", Path.Combine("src", "Koala.Cli"), "-c", "Release", "-r", "linux-x64", "--self-contained", "-p:Backend=external",
            "--artifacts-path", scratch, "-o", output, "-v", "q", "-nologo", "-tl:off", "-nodeReuse:false", "-p:UseSharedCompilation=false"])
            start.ArgumentList.Add(argument);
        // There is no clone where the bundle runs, so it carries its commit for reports; + means that files were changed.
        if (GitCommit.Read(sources) is { } commit) start.ArgumentList.Add($"-p:BuiltFrom={commit.Hash}{(commit.Clean ? "" : "+")}");
        // No build server may stay behind.
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new KoalaException("dotnet", "is not on the path", "install the .NET 10 SDK", e);
        }
    }
}
