using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Cli.Commands;

/// <summary>
/// <c>koala tokenize</c>: shows the tokens of a text, without a chat template and without added tokens.
/// </summary>
internal static class TokenizeCommand
{
    private sealed record Tokenized(IReadOnlyList<int> Ids, string Decoded);

    public static Command Create(Streams streams)
    {
        var target = SharedOptions.PathArgument("target",
            "The target: a Hugging Face folder, a GGUF file, or the name of a model that koala pull has downloaded (org/name).");
        var text = SharedOptions.Text("--text", "TEXT",
            "The text; - reads standard input, with all its line breaks. Default: standard input.");
        var json = SharedOptions.Json();
        var command = new Command("tokenize",
            "Show the tokens of a text, without a chat template and without added tokens.") { target, text, json };
        command.SetAction(result => Run(streams, result.GetValue(target)!, result.GetValue(text), result.GetValue(json)));
        return command;
    }

    private static int Run(Streams streams, string target, string? text, bool json)
    {
        var tokenizer = Tokenizer.Load(target);
        var ids = tokenizer.Encode(text is null or "-" ? streams.Input.ReadToEnd() : text);
        if (json) streams.Output.WriteLine(JsonOutput.Line(new Tokenized(ids, tokenizer.Decode(ids))));
        else foreach (var id in ids) streams.Output.WriteLine($"{id,8}  {JsonOutput.Line(tokenizer.TextOf(id))}");
        return ExitCodes.Done;
    }
}
