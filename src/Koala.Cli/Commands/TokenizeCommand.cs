using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Cli.Commands;

/// <summary><c>koala tokenize</c>: text as a target's tokens; no template, no added tokens.</summary>
internal static class TokenizeCommand
{
    private sealed record Tokenized(IReadOnlyList<int> Ids, string Decoded);

    public static Command Create(Streams streams)
    {
        var target = SharedOptions.Path("target", "The target: a folder in Hugging Face's layout, or a GGUF file.");
        var text = SharedOptions.Text("--text", "TEXT", "The text. Default, and with -: standard input.");
        var json = SharedOptions.Json();
        var command = new Command("tokenize", "Show text as a target's tokens: no template, no added tokens.") { target, text, json };
        command.SetAction(result => Run(streams, result.GetValue(target)!, result.GetValue(text), result.GetValue(json)));
        return command;
    }

    private static int Run(Streams streams, string target, string? text, bool json)
    {
        var tokenizer = Tokenizer.Load(target);
        var ids = tokenizer.Encode(text is null or "-" ? streams.ReadInput() : text);
        if (json) streams.Output.WriteLine(JsonOutput.Line(new Tokenized(ids, tokenizer.Decode(ids))));
        else foreach (var id in ids) streams.Output.WriteLine($"{id,8}  {JsonOutput.Line(tokenizer.Decode([id]))}");
        return ExitCodes.Done;
    }
}
