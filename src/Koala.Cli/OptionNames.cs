using System.CommandLine;
using System.Text.Json;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Cli;

/// <summary>The command's names for the options that the library's messages name.</summary>
internal static class OptionNames
{
    // Every other option has its C# name in kebab case: MaxTokens is --max-tokens, Adversary.Weight is --adversary-weight.
    private static readonly Dictionary<string, string> s_exceptions = new()
    {
        [nameof(TrainingOptions.Losses)] = "--loss",
        [nameof(MedusaOptions.Heads)] = "--medusa-heads",
        [nameof(RunFolder)] = "--out",
        ["source"] = "--head",   // the draft source
    };

    /// <summary>The option of a command that sets the C# property or parameter <paramref name="name"/>.</summary>
    /// <param name="name">
    /// A property or parameter of the library, or the path to one, such as <c>Tree.Tokens</c>.
    /// </param>
    /// <param name="command">The command that is run.</param>
    /// <returns>The option's name with its dashes; null if the command has no such option.</returns>
    public static string? Find(string name, Command command)
    {
        var option = s_exceptions.GetValueOrDefault(name) ?? InKebabCase(name);
        return command.Options.Any(o => o.Name == option) ? option : null;
    }

    /// <summary>The option of <c>koala sweep</c> for an option of a plan: <c>adversary.weight</c> is <c>--adversary-weight</c>.</summary>
    /// <param name="name">The name in a plan.</param>
    public static string OfSweep(string name) =>
        s_exceptions.GetValueOrDefault(string.Concat(name[..1].ToUpperInvariant(), name[1..])) ?? InKebabCase(name);

    private static string InKebabCase(string name) =>
        $"--{string.Join('-', name.Split('.').Select(JsonNamingPolicy.KebabCaseLower.ConvertName))}";
}
