using System.CommandLine;
using System.Text.Json;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Cli;

/// <summary>What the command calls the options that the library's messages name.</summary>
internal static class OptionNames
{
    // All others are the C# name in kebab case: MaxTokens is --max-tokens, Adversary.Weight is --adversary-weight.
    private static readonly Dictionary<string, string> s_named = new()
    {
        [nameof(TrainingOptions.Losses)] = "--loss",
        [nameof(MedusaOptions.Heads)] = "--medusa-heads",
        [$"Tree.{nameof(DynamicTree.Levels)}"] = "--tree-depth",
        [$"Tree.{nameof(DynamicTree.TopK)}"] = "--tree-topk",
        [nameof(RunFolder)] = "--out",
        ["source"] = "--head",   // what drafts
    };

    /// <summary>The option by which a user of this command sets what C# code knows under <paramref name="name"/>.</summary>
    /// <param name="name">A property or parameter of the library, or the path to one: <c>Tree.Tokens</c>.</param>
    /// <param name="command">The command that runs.</param>
    /// <returns>The option's name with its dashes; null where the command has none.</returns>
    public static string? Find(string name, Command command)
    {
        var option = s_named.GetValueOrDefault(name) ?? InKebabCase(name);
        return command.Options.Any(o => o.Name == option) ? option : null;
    }

    private static string InKebabCase(string name) =>
        $"--{string.Join('-', name.Split('.').Select(JsonNamingPolicy.KebabCaseLower.ConvertName))}";
}
