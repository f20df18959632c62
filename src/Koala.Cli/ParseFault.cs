using System.CommandLine;
using System.CommandLine.Parsing;
using Koala.Lab;

namespace Koala.Cli;

/// <summary>Describes a mistake in the arguments in one line, and suggests the nearest known word.</summary>
internal static class ParseFault
{
    public static string Line(ParseResult result)
    {
        var command = result.CommandResult.Command;
        var fault = Fault(result, command);
        return $"{fault}{(fault.EndsWith('?') ? "" : ".")} See {FullName(result.CommandResult)} --help";
    }

    private static string Fault(ParseResult result, Command command)
    {
        // The parser may have taken a mistyped option for the command's argument; then it cannot match what follows.
        var ofArgument = result.Errors.FirstOrDefault(e =>
            e.SymbolResult is ArgumentResult { Tokens.Count: > 0, Parent: CommandResult });
        if (ofArgument is not null) return ofArgument.Message;
        if (result.UnmatchedTokens.Count > 0) return Unknown(result.UnmatchedTokens[0], command);
        var missing = command.Options.FirstOrDefault(option =>
            option.Required && result.GetResult(option) is null or { Implicit: true });
        var error = result.Errors[0];
        return error.SymbolResult switch
        {
            OptionResult { Tokens.Count: 0, Implicit: false } withoutValue => $"{withoutValue.Option.Name} needs a value",
            ArgumentResult { Tokens.Count: 0, Parent: OptionResult option } => $"{option.Option.Name} needs a value",
            ArgumentResult { Tokens.Count: 0 } argument => $"{argument.Argument.HelpName} is missing",
            CommandResult or OptionResult { Implicit: true } when missing is not null =>
                $"{missing.Name} {missing.HelpName} is missing",
            _ => error.Message.ReplaceLineEndings(" ").TrimEnd('.'),
        };
    }

    /// <summary>Says that a word is not known, and suggests the nearest known one.</summary>
    public static string Unknown(string word, Command command)
    {
        var isOption = word.StartsWith('-');
        var name = isOption ? word.Split('=', ':')[0] : word;
        var (kind, known) = isOption ? ("option", Options(command))
            : command.Subcommands.Count > 0 ? ("command", command.Subcommands.Select(c => c.Name))
            : ("argument", []);
        return NearestWord.Find(name, known) is { } nearest ? $"unknown {kind} {name}: did you mean {nearest}?" : $"unknown {kind} {name}";
    }

    private static IEnumerable<string> Options(Command command) => command.Options.Select(o => o.Name)
        .Concat(command.Parents.OfType<Command>().SelectMany(p => p.Options).Where(o => o.Recursive).Select(o => o.Name));

    private static string FullName(CommandResult result) =>
        result.Parent is CommandResult parent ? $"{FullName(parent)} {result.Command.Name}" : result.Command.Name;
}
