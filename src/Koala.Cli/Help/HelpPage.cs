using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Koala.Cli.Help;

/// <summary>
/// The help of a command: System.CommandLine's own, with the options in groups, optional arguments as [NAME], and examples at the end.
/// </summary>
internal sealed class HelpPage : SynchronousCommandLineAction
{
    private readonly HelpAction _standard = new();

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        var (configuration, command) = (parseResult.InvocationConfiguration, parseResult.CommandResult.Command);
        var output = configuration.Output;
        using var page = new StringWriter { NewLine = "\n" };
        configuration.Output = page;
        var exitCode = _standard.Invoke(parseResult);
        configuration.Output = output;
        foreach (var line in page.ToString().TrimEnd().Split('\n').SelectMany(line => Lines(line.TrimEnd(), command)))
            output.WriteLine(line);
        if (Examples.Of(command) is { Count: > 0 } examples)
        {
            output.WriteLine("\nExamples:");
            foreach (var example in examples) output.WriteLine($"  {CommandName.AsTyped} {example}");
        }
        return exitCode;
    }

    // The lines that take the place of a line of the standard help.
    private static IEnumerable<string> Lines(string line, Command command)
    {
        var groups = OptionGroups.Of(command);
        if (groups.Count > 0 && line == "Options:") return [];
        var first = groups.Keys.FirstOrDefault(option => line.StartsWith($"  {option} ", StringComparison.Ordinal));
        // The standard help has a blank line before its heading, which was left out.
        if (first is not null) return first == groups.Keys.First() ? [$"{groups[first]}:", line] : ["", $"{groups[first]}:", line];
        return [WithArguments(line, command)];
    }

    private static string WithArguments(string line, Command command)
    {
        if (command.Arguments.Count > 0 && line.StartsWith($"  {CommandName.OfHelp(command)} ", StringComparison.Ordinal))
            return $"  {CommandName.OfHelp(command)} {string.Join(' ', command.Arguments.Select(Label))} [options]";
        var described = command.Arguments.FirstOrDefault(a => line.StartsWith($"  <{a.HelpName}> ", StringComparison.Ordinal));
        if (described is not null) return Replace(line, described);
        var listed = command.Subcommands.FirstOrDefault(c => line.StartsWith($"  {c.Name} <", StringComparison.Ordinal));
        return listed is null ? line : listed.Arguments.Aggregate(line, Replace);
    }

    private static string Replace(string line, Argument argument) => line.Replace($"<{argument.HelpName}>", Label(argument));

    private static string Label(Argument argument) =>
        argument.Arity.MinimumNumberOfValues == 0 ? $"[{argument.HelpName}]" : $"<{argument.HelpName}>";
}
