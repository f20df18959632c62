using System.CommandLine;

namespace Koala.Cli.Help;

/// <summary>The headings among the options of the commands that have many. A group ends where the next one begins.</summary>
internal static class OptionGroups
{
    private static readonly Dictionary<string, IReadOnlyDictionary<string, string>> s_groups = new()
    {
        ["generate"] = Groups(("--target", "Model"), ("--head", "Drafter"), ("--prompt", "Prompts"), ("--max-tokens", "Answers"),
            ("--tree", "Draft tree"), ("--stop", "Output")),
        ["train"] = Groups(("--target", "Model"), ("--head", "Head"), ("--data", "Data"), ("--preset", "Recipe"),
            ("--adversary-weight", "Adversary"), ("--out", "Output")),
        ["sweep"] = Groups(("--target", "Model"), ("--head", "Head"), ("--data", "Data"), ("--preset", "Recipe"),
            ("--adversary-weight", "Adversary"), ("--evaluate-prompts", "Evaluation"), ("--out", "Sweep")),
        ["evaluate"] = Groups(("--target", "Model"), ("--head", "Drafter"), ("--prompts", "Prompts"), ("--max-tokens", "Answers"),
            ("--tree", "Draft tree"), ("--batch", "Measurement"), ("--untrained", "Untrained head"), ("--out", "Output")),
    };

    /// <summary>The heading before each of these options; empty for a command whose options are one list.</summary>
    public static IReadOnlyDictionary<string, string> Of(Command command) =>
        s_groups.GetValueOrDefault(command.Name, new Dictionary<string, string>());

    private static Dictionary<string, string> Groups(params (string First, string Heading)[] groups) =>
        groups.ToDictionary(group => group.First, group => group.Heading);
}
