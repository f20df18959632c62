using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Results;

namespace Koala.Cli.Options;

/// <summary>The options that choose runs: the folders, conditions and the order.</summary>
internal sealed class RunSelection
{
    private const string Runs = "runs";

    private readonly Argument<string[]> _folders = SharedOptions.PathsArgument("folder",
        "Runs, or folders that contain runs at any depth.");
    private readonly Option<string[]> _where = new("--where")
    {
        Description = "Only runs with this: layers>=2 and state=finished. A field is named by its path in run.json, metrics or report, "
            + "or by the end of it; the operators are = != < <= > >= and ~ (contains); conditions are joined by and and or. The option "
            + "may be given more than once.",
        HelpName = "CONDITIONS",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };
    private readonly Option<string?> _sort = SharedOptions.Text("--sort", "FIELD", "Sort by this field. Default: by name.");
    private readonly Option<bool> _descending = SharedOptions.Flag("--descending", "With --sort: the largest value first.");

    public Option<string?> Columns { get; } = SharedOptions.Text("--columns", "FIELDS",
        $"The fields to show, separated by commas. Default: {string.Join(',', RunTable.StandardColumns)}.");

    public void AddTo(Command command)
    {
        _folders.Arity = ArgumentArity.ZeroOrMore;
        _folders.DefaultValueFactory = _ => [Runs];
        command.Arguments.Add(_folders);
        command.AddOptions(_where, _sort, _descending, Columns);
    }

    /// <summary>The runs that the options choose.</summary>
    /// <exception cref="KoalaException">The folder, a condition or the order is wrong.</exception>
    public RunTable Read(ParseResult result)
    {
        if (result.GetValue(_descending) && !result.Has(_sort))
            throw new KoalaException(_descending.Name, "belongs to --sort, which is not given", "give --sort FIELD, or leave it out");
        var table = (result.GetValue(_where) ?? []).Aggregate(RunTable.Read(Folders(result)), (runs, where) => runs.Where(where));
        return result.GetValue(_sort) is { } field ? table.Sort(field, result.GetValue(_descending)) : table;
    }

    /// <summary>The fields to show; null for the standard columns.</summary>
    public IReadOnlyList<string>? ReadColumns(ParseResult result) =>
        result.GetValue(Columns)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The folders as the user gave them, for messages.</summary>
    public string FolderNames(ParseResult result) => string.Join(", ", Folders(result));

    private string[] Folders(ParseResult result) => result.GetValue(_folders)!;
}
