using System.CommandLine;
using System.CommandLine.Parsing;

namespace Koala.Cli;

/// <summary>What is wrong with the arguments, in one line, with the nearest known word.</summary>
internal static class ParseFault
{
    public static string Line(ParseResult result)
    {
        var command = result.CommandResult.Command;
        var fault = Fault(result, command);
        return $"{fault}{(fault.EndsWith('?') ? "" : ".")} See {FullName(result.CommandResult)} --help";
    }

    /// <summary>The known word that a mistyped one is nearest to; null if none is near.</summary>
    public static string? Nearest(string word, IEnumerable<string> known) => known
        .Select(candidate => (Candidate: candidate, Distance: Distance(word, candidate)))
        .Where(x => x.Distance <= Math.Max(1, word.TrimStart('-').Length / 3))
        .OrderBy(x => x.Distance)
        .Select(x => x.Candidate)
        .FirstOrDefault();

    private static string Fault(ParseResult result, Command command)
    {
        // A mistyped option may have been taken for the command's argument; what follows it then has no place.
        if (result.Errors.FirstOrDefault(e => e.SymbolResult is ArgumentResult { Tokens.Count: > 0, Parent: CommandResult }) is { } misplaced) return misplaced.Message;
        if (result.UnmatchedTokens.Count > 0) return Unknown(result.UnmatchedTokens[0], command);
        var missing = command.Options.FirstOrDefault(option => option.Required && result.GetResult(option) is null or { Implicit: true });
        var error = result.Errors[0];
        if (error.SymbolResult is OptionResult { Tokens.Count: 0, Implicit: false } valueless) return $"{valueless.Option.Name} needs a value";
        if (error.SymbolResult is ArgumentResult { Tokens.Count: 0, Parent: OptionResult parent }) return $"{parent.Option.Name} needs a value";
        if (error.SymbolResult is ArgumentResult { Tokens.Count: 0 } argument) return $"{argument.Argument.HelpName} is missing";
        if (missing is not null && error.SymbolResult is CommandResult or OptionResult { Implicit: true }) return $"{missing!.Name} {missing.HelpName} is missing";
        return error.Message.ReplaceLineEndings(" ").TrimEnd('.');
    }

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

    // Letters put in, left out, replaced or swapped with their neighbour (optimal string alignment).
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
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        return d[a.Length, b.Length];
    }
}
