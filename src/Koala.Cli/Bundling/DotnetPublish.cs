using System.Diagnostics;
using Koala.Lab;
using Koala.Lab.Runs;

namespace Koala.Cli.Bundling;

/// <summary>A self-contained build of the command for Linux x64 that contains no libtorch.</summary>
/// <param name="sources">The folder of the clone.</param>
/// <param name="scratch">
/// The folder of the build's intermediate files, so that the clone's own build outputs stay as they are.
/// </param>
/// <param name="output">The folder of the result.</param>
internal sealed class DotnetPublish(string sources, string scratch, string output)
{
    /// <exception cref="KoalaException">There is no .NET SDK, or the build failed.</exception>
    /// <exception cref="OperationCanceledException">The build was cancelled; its process has been ended.</exception>
    public void Run(CancellationToken cancel)
    {
        using var process = Start();
        using var ending = cancel.Register(() => process.Kill(entireProcessTree: true));
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        var log = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        cancel.ThrowIfCancellationRequested();
        if (process.ExitCode == 0) return;
        var cause = FirstError($"{log}\n{errors.Result}") ?? $"exit code {process.ExitCode}";
        throw new KoalaException("dotnet publish", $"failed ({cause})",
            "make sure that `dotnet build` works in the clone and that packages can be restored");
    }

    // The first error is the cause, and the others follow from it. Without an error, the last line says most.
    private static string? FirstError(string log)
    {
        var lines = log.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.FirstOrDefault(line => line.Contains("error", StringComparison.OrdinalIgnoreCase)) ?? lines.LastOrDefault();
    }

    private Process Start()
    {
        string[] arguments =
        [
            "publish", Path.Combine("src", "Koala.Cli"), "-c", "Release", "-r", "linux-x64", "--self-contained",
            "-p:Backend=external", "--artifacts-path", scratch, "-o", output,
            // Documentation for editors is of no use beside a program.
            "-p:PublishDocumentationFile=false", "-p:PublishReferencesDocumentationFiles=false",
            "-v", "q", "-nologo", "-tl:off", "-nodeReuse:false", "-p:UseSharedCompilation=false",
        ];
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = sources,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // A bundle runs where no clone is, so it contains the commit that reports name; + means that files were changed.
        if (GitCommit.Read(sources) is { } commit)
            start.ArgumentList.Add($"-p:BuiltFrom={commit.Hash}{(commit.Clean ? "" : "+")}");
        // No build server may keep running afterwards.
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
