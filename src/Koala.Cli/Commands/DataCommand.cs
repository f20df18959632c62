using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Data;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Cli.Commands;

/// <summary><c>koala data check</c>: says what training would use of a file of chats, what it would leave out, and why.</summary>
internal static class DataCommand
{
    public static Command Create(Streams streams)
    {
        var command = new Command("data", "Look at files of chats.");
        command.Subcommands.Add(CreateCheck(streams));
        return command;
    }

    private static Command CreateCheck(Streams streams)
    {
        var path = SharedOptions.PathArgument("file",
            "Chats: JSON lines (.jsonl, .jsonl.gz), a JSON array, a Parquet file, or a data set's folder.");
        var target = SharedOptions.Text("--target", "TARGET",
            "The target whose chat template and tokenizer are to be used as well: a folder, a GGUF file or a pulled model (org/name).");
        var json = SharedOptions.Json();
        var command = new Command("check", "Say what training would use of a file of chats, what it would leave out, and why.")
        {
            path, target, json,
        };
        command.SetAction((result, cancel) =>
        {
            var tokenizer = result.GetValue(target) is { } name ? Tokenizer.Load(name) : null;
            var check = DataCheck.Run(result.GetValue(path)!, tokenizer, cancel);
            streams.Cell?.SetValue(check, isPrinted: true);
            streams.Output.WriteLine(result.GetValue(json) ? JsonOutput.Document(check) : JsonOutput.Listing(check));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
