using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Heads;
using Koala.Lab.Runs;

namespace Koala.Cli.Commands;

/// <summary><c>koala inspect</c>: describes a target, a head, a run or a file of weights.</summary>
internal static class InspectCommand
{
    public static Command Create(Streams streams)
    {
        var path = SharedOptions.PathArgument("path",
            "The folder of a target, a head or a run; a GGUF file, a .safetensors file, or the name of a pulled model (org/name).");
        var json = SharedOptions.Json();
        var command = new Command("inspect", "Describe a target, a head, a run or a file of weights.") { path, json };
        command.SetAction(result =>
        {
            var inspection = Inspect(result.GetValue(path)!);
            streams.Output.WriteLine(result.GetValue(json) ? JsonOutput.Document(inspection) : JsonOutput.Listing(inspection));
            return ExitCodes.Done;
        });
        return command;
    }

    private static object Inspect(string path)
    {
        path = ModelLocation.Find(path).Path;
        if (File.Exists(path)) return GgufFile.IsGguf(path) ? Inspection.OfTarget(path) : Inspection.OfFile(path);
        if (RunFolder.IsRun(path)) return Inspection.OfRun(path);
        return HeadFolder.IsHead(path) ? Inspection.OfHead(path) : Inspection.OfTarget(path);
    }
}
