using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Koala.Lab;

namespace Koala.Cli.Options;

/// <summary>
/// Makes options that read numbers in one way and report errors in one line. A default value is computed only when a
/// command needs it.
/// </summary>
internal static class SharedOptions
{
    public static Option<int> Integer(string name, string description, Func<int> defaultValue) => new(name)
    {
        Description = description,
        HelpName = "N",
        DefaultValueFactory = _ => defaultValue(),
        CustomParser = result => ReadInteger(name, result) ?? 0,
    };

    /// <summary>A whole number that may be omitted; the description says what applies then.</summary>
    public static Option<int?> OptionalInteger(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result => ReadInteger(name, result),
    };

    public static Option<double> Number(string name, string description, Func<double> defaultValue) => new(name)
    {
        Description = description,
        HelpName = "X",
        DefaultValueFactory = _ => defaultValue(),
        CustomParser = result => ReadNumber(name, result) ?? 0,
    };

    /// <summary>A number that may be omitted; the description says what applies then.</summary>
    public static Option<double?> OptionalNumber(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "X",
        CustomParser = result => ReadNumber(name, result),
    };

    /// <summary>One of a few words.</summary>
    public static Option<string> Choice(string name, string description, Func<string> defaultValue, params string[] words)
    {
        var option = OptionalChoice(name, description, words);
        option.DefaultValueFactory = _ => defaultValue();
        return option;
    }

    /// <summary>One of a few words, which may be omitted; the description says what applies then.</summary>
    public static Option<string> OptionalChoice(string name, string description, params string[] words)
    {
        var option = new Option<string>(name)
        {
            Description = description,
            HelpName = string.Join('|', words),
            CustomParser = Read,
        };
        option.CompletionSources.Add(words);
        return option;

        string? Read(ArgumentResult result)
        {
            if (result.Tokens is not [var token]) return null;
            if (words.Contains(token.Value)) return token.Value;
            var suggestion = NearestWord.Find(token.Value, words) is { } word ? $": did you mean {word}?" : "";
            result.AddError($"{name} is '{token.Value}', but it must be {string.Join(" or ", words)}{suggestion}");
            return null;
        }
    }

    /// <summary>A text, a file or a folder; null if it is omitted.</summary>
    public static Option<string?> Text(string name, string helpName, string description) => new(name)
    {
        Description = description,
        HelpName = helpName,
    };

    public static Option<bool> Flag(string name, string description) => new(name)
    {
        Description = description,
        Arity = ArgumentArity.Zero,
    };

    /// <summary>True or false, which must be given as a value.</summary>
    public static Option<bool> Switch(string name, string description, Func<bool> defaultValue) => new(name)
    {
        Description = description,
        HelpName = "true|false",
        Arity = ArgumentArity.ExactlyOne,
        DefaultValueFactory = _ => defaultValue(),
        CustomParser = result => ReadSwitch(name, result),
    };

    public static Option<bool> Json() => Flag("--json", "Print JSON on standard output.");

    public static Option<bool> Quiet() => Flag("--quiet", "Print only results and errors.");

    /// <summary>An argument: the file, folder or name that the command works on.</summary>
    public static Argument<string> PathArgument(string name, string description)
    {
        var argument = new Argument<string>(name) { Description = description, HelpName = name.ToUpperInvariant() };
        argument.Validators.Add(RefuseOptions);
        return argument;
    }

    /// <summary>An argument of one or more files or folders.</summary>
    public static Argument<string[]> PathsArgument(string name, string description)
    {
        var argument = new Argument<string[]>(name)
        {
            Description = description,
            HelpName = name.ToUpperInvariant(),
            Arity = ArgumentArity.OneOrMore,
        };
        argument.Validators.Add(RefuseOptions);
        return argument;
    }

    // Without this check the parser would take a mistyped option for a path.
    private static void RefuseOptions(ArgumentResult result)
    {
        if (result.Tokens.FirstOrDefault(token => token.Value.StartsWith("--", StringComparison.Ordinal)) is { } token
            && result.Parent is CommandResult command) result.AddError(ParseFault.Unknown(token.Value, command.Command));
    }

    /// <summary>Adds options to a command; help lists them in this order.</summary>
    public static void AddOptions(this Command command, params IEnumerable<Option> options)
    {
        foreach (var option in options) command.Options.Add(option);
    }

    /// <summary>Whether the user gave the option.</summary>
    public static bool Has(this ParseResult result, Option option) => result.GetResult(option) is { Implicit: false };

    /// <summary>The first of these options that the user gave; null if there is none.</summary>
    public static Option? FirstGiven(this ParseResult result, params IEnumerable<Option> options) =>
        options.FirstOrDefault(result.Has);

    private static bool ReadSwitch(string name, ArgumentResult result)
    {
        if (result.Tokens is not [var token]) return false;
        if (token.Value is not ("true" or "false")) result.AddError($"{name} is '{token.Value}', but true or false is expected");
        return token.Value == "true";
    }

    private static int? ReadInteger(string name, ArgumentResult result)
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
