using System.CommandLine;
using System.Globalization;
using Koala.Cli.Bundling;
using Koala.Cli.Options;
using Koala.Cli.Output;

namespace Koala.Cli.Commands;

/// <summary>
/// <c>koala bundle</c>: makes a folder, and an archive of it, that run on a machine with PyTorch but no .NET.
/// </summary>
internal static class BundleCommand
{
    private sealed record Result(string Folder, long FolderBytes, string Archive, long ArchiveBytes);

    public static Command Create(Streams streams)
    {
        var @out = SharedOptions.Text("--out", "FOLDER",
            "The folder to make, which must not exist yet. The archive is FOLDER.tar.gz beside it.");
        @out.Required = true;
        var (json, quiet) = (SharedOptions.Json(), SharedOptions.Quiet());
        var command = new Command("bundle",
            "Make a folder, and an archive of it, that run on a machine with PyTorch (and a GPU) but no .NET.")
            { @out, json, quiet };
        command.SetAction(result => Run(streams, result.GetValue(@out)!, result.GetValue(json), result.GetValue(quiet)));
        return command;
    }

    private static int Run(Streams streams, string folder, bool json, bool quiet)
    {
        var bundle = new Bundle(AppContext.BaseDirectory, folder);
        using var interruption = new Interruption(streams);
        if (!quiet) streams.Error.WriteLine("building (about half a minute)…");
        bundle.Write(interruption.Token);
        var files = Directory.EnumerateFiles(bundle.Folder, "*", SearchOption.AllDirectories);
        var folderBytes = files.Sum(path => new FileInfo(path).Length);
        var archive = new FileInfo(bundle.Archive);
        streams.Output.WriteLine(json
            ? JsonOutput.Document(new Result(bundle.Folder, folderBytes, archive.FullName, archive.Length))
            : string.Create(CultureInfo.InvariantCulture,
                $"{bundle.Folder}: {folderBytes / 1e6:F1} MB\n{archive.FullName}: {archive.Length / 1e6:F1} MB\n")
                + "README.txt in it says how to run it on the other machine");
        return ExitCodes.Done;
    }
}
