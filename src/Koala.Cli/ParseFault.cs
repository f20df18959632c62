using System.CommandLine;
using System.CommandLine.Parsing;

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

    /// <summary>The known word that is nearest to a mistyped one; null if none is near.</summary>
    public static string? Nearest(string word, IEnumerable<string> known)
    {
        var limit = Math.Max(1, word.TrimStart('-').Length / 3);
        var near = known.Where(candidate => Distance(word, candidate) <= limit);
        return near.MinBy(candidate => Distance(word, candidate));
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
        return Nearest(name, known) is { } nearest ? $"unknown {kind} {name}: did you mean {nearest}?" : $"unknown {kind} {name}";
    }

    private static IEnumerable<string> Options(Command command) => command.Options.Select(o => o.Name)
        .Concat(command.Parents.OfType<Command>().SelectMany(p => p.Options).Where(o => o.Recursive).Select(o => o.Name));

    private static string FullName(CommandResult result) =>
        result.Parent is CommandResult parent ? $"{FullName(parent)} {result.Command.Name}" : result.Command.Name;

    // The number of letters that are inserted, left out, replaced or swapped with their neighbour (optimal string alignment).
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }
                d[i, j] = Math.Min(Math.Min(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                var swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if (swapped) d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        return d[a.Length, b.Length];
    }
}
