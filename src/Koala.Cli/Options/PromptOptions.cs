using System.CommandLine;
using Koala.Lab.Data;

namespace Koala.Cli.Options;

/// <summary>Which prompts of a file are asked: <c>--prompts --limit --categories --turns</c>.</summary>
internal sealed class PromptOptions
{
    public Option<string?> File { get; } = SharedOptions.Text("--prompts", "FILE", "A file of prompts (JSON Lines, also .gz): MT-bench, Spec-Bench, GSM8K, HumanEval, or lines with prompt, turns or messages.");

    public Option<int?> Limit { get; } = SharedOptions.WholeOrNone("--limit", "Take the first N prompts. Default: all.");

    public Option<string?> Categories { get; } = SharedOptions.Text("--categories", "NAMES", "Take the prompts of these categories, separated by commas. Default: all.");

    public Option<string> Turns { get; } = SharedOptions.Choice("--turns", "Ask the first turn of a prompt, or all in order, each after the answers before it.", () => "first", "first", "all");

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[File, Limit, Categories, Turns]) command.Options.Add(option);
    }

    public bool AllTurns(ParseResult result) => result.GetValue(Turns) == "all";

    public IReadOnlyList<Prompt> Read(ParseResult result, string file) =>
        Prompts.Load(file, result.GetValue(Limit), result.GetValue(Categories)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
}
