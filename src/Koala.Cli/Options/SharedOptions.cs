using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Koala.Cli.Options;

/// <summary>How options are made: one spelling, one way to read numbers, one-line errors. Defaults are asked for only where a command needs them.</summary>
internal static class SharedOptions
{
    public static Option<int> Whole(string name, string description, Func<int> standard) => new(name)
    {
        Description = description,
        HelpName = "N",
        DefaultValueFactory = _ => standard(),
        CustomParser = result => ReadWhole(name, result) ?? 0,
    };

    /// <summary>A whole number that may be left out; the description says what then holds.</summary>
    public static Option<int?> WholeOrNone(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result => ReadWhole(name, result),
    };

    public static Option<double> Number(string name, string description, Func<double> standard) => new(name)
    {
        Description = description,
        HelpName = "X",
        DefaultValueFactory = _ => standard(),
        CustomParser = result => ReadNumber(name, result) ?? 0,
    };

    /// <summary>A number that may be left out; the description says what then holds.</summary>
    public static Option<double?> NumberOrNone(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "X",
        CustomParser = result => ReadNumber(name, result),
    };

    /// <summary>One of a few words; the first is the default where none is given.</summary>
    public static Option<string> Choice(string name, string description, Func<string> standard, params string[] words)
    {
        var option = ChoiceOrNone(name, description, words);
        return new Option<string>(name) { Description = description, HelpName = option.HelpName, DefaultValueFactory = _ => standard(), CustomParser = option.CustomParser };
    }

    /// <summary>One of a few words that may be left out; the description says what then holds.</summary>
    public static Option<string> ChoiceOrNone(string name, string description, params string[] words) => new(name)
    {
        Description = description,
        HelpName = string.Join('|', words),
        CustomParser = result =>
        {
            if (result.Tokens is not [var token]) return null;
            if (words.Contains(token.Value)) return token.Value;
            var nearest = ParseFault.Nearest(token.Value, words) is { } word ? $": did you mean {word}?" : "";
            result.AddError($"{name} is '{token.Value}', but it is {string.Join(" or ", words)}{nearest}");
            return null;
        },
    };

    /// <summary>Text, a file or a folder; null where it is left out.</summary>
    public static Option<string?> Text(string name, string helpName, string description) => new(name) { Description = description, HelpName = helpName };

    public static Option<bool> Flag(string name, string description) => new(name) { Description = description, Arity = ArgumentArity.Zero };

    public static Option<bool> Json() => Flag("--json", "Print JSON on standard output.");

    public static Option<bool> Quiet() => Flag("--quiet", "Print results and errors only.");

    /// <summary>A file or folder that the command is about.</summary>
    public static Argument<string> Path(string name, string description)
    {
        var argument = new Argument<string>(name) { Description = description, HelpName = name.ToUpperInvariant() };
        // A mistyped option would otherwise be taken for a path.
        argument.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && token.Value.StartsWith("--", StringComparison.Ordinal) && result.Parent is CommandResult command)
                result.AddError(ParseFault.Unknown(token.Value, command.Command));
        });
        return argument;
    }

    /// <summary>Whether the user wrote the option.</summary>
    public static bool Has(this ParseResult result, Option option) => result.GetResult(option) is { Implicit: false };

    private static int? ReadWhole(string name, ArgumentResult result)
    {
        if (result.Tokens is not [var token]) return null;
        if (int.TryParse(token.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)) return value;
        result.AddError($"{name} is '{token.Value}', but a whole number is expected");
        return null;
    }

    private static double? ReadNumber(string name, ArgumentResult result)
    {
        if (result.Tokens is not [var token]) return null;
        if (double.TryParse(token.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)) return value;
        result.AddError($"{name} is '{token.Value}', but a number is expected");
        return null;
    }
}
