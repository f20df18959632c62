using System.CommandLine;
using Koala.Lab.Data;

namespace Koala.Cli.Options;

/// <summary>A file of prompts and the choice among them: <c>--prompts --limit --categories --turns</c>.</summary>
internal sealed class PromptOptions
{
    private const StringSplitOptions TrimmedNames = StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries;

    public Option<string?> File { get; } = SharedOptions.Text("--prompts", "FILE",
        "A file of prompts (JSON lines, also .gz): MT-bench, Spec-Bench, GSM8K, HumanEval, "
        + "or lines with prompt, turns or messages.");

    public Option<int?> Limit { get; } = SharedOptions.OptionalInteger("--limit",
        "Use the first N prompts. Default: all.");

    public Option<string?> Categories { get; } = SharedOptions.Text("--categories", "NAMES",
        "Use the prompts of these categories, separated by commas. Default: all.");

    public Option<string> Turns { get; } = SharedOptions.Choice("--turns",
        "Ask the first turn of each prompt, or all turns in order, each after the answers to the turns before it.",
        () => "first", "first", "all");

    public void AddTo(Command command) => command.AddOptions(File, Limit, Categories, Turns);

    public bool AllTurns(ParseResult result) => result.GetValue(Turns) == "all";

    public IReadOnlyList<Prompt> Read(ParseResult result, string file) =>
        Prompts.Load(file, result.GetValue(Limit), result.GetValue(Categories)?.Split(',', TrimmedNames));
}
