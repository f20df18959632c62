using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using Koala.Lab;

namespace Koala.Cli;

/// <summary>
/// <c>#!koala</c> in a cell of a notebook: a command line whose result is an object. <c>--name NAME</c> in it gives the result to a
/// variable of the notebook; the command itself has no such option, so its record of the command line can be typed in a terminal.
/// </summary>
/// <param name="Variable">The name of the variable; null if there is none.</param>
/// <param name="Arguments">The arguments of the command.</param>
internal sealed partial record NotebookCommand(string? Variable, IReadOnlyList<string> Arguments)
{
    /// <summary>Stands before the name of the variable.</summary>
    public const string NameOption = "--name";

    /// <summary>Reads what follows <c>#!koala</c>. Quotes are as on a command line.</summary>
    /// <exception cref="KoalaException">The name of the variable is missing.</exception>
    public static NotebookCommand Parse(string line)
    {
        string[] words = [.. CommandLineParser.SplitCommandLine(line)];
        var at = Array.IndexOf(words, NameOption);
        if (at < 0) return new NotebookCommand(null, words);
        if (at == words.Length - 1)
            throw new KoalaException(NameOption, "has no value", $"write the name of a variable after it, such as {NameOption} report");
        return new NotebookCommand(words[at + 1], [.. words[..at], .. words[(at + 2)..]]);
    }

    /// <summary>The words that may stand in place of the last word of a line after <c>#!koala</c>, which may be empty.</summary>
    public static IReadOnlyList<string> Complete(string line)
    {
        var word = line[(line.LastIndexOfAny([' ', '\t']) + 1)..];
        var words = KoalaCommand.Complete(NamedVariable().Replace(line, " "));
        if (word.StartsWith('-')) words = words.Append(NameOption);
        return [.. words.Where(known => known.StartsWith(word, StringComparison.Ordinal))];
    }

    [GeneratedRegex(@"(?<=^|\s)--name\s+\S*\s?")]
    private static partial Regex NamedVariable();

    /// <summary>Runs the command.</summary>
    /// <param name="output">Receives the text that the command writes to standard output and to standard error.</param>
    /// <param name="showProgress">Shows the progress in place of what it showed before; null removes it.</param>
    /// <param name="cancel">Interrupts the command.</param>
    /// <exception cref="OperationCanceledException">The command was interrupted.</exception>
    public NotebookResult Run(TextWriter output, Action<string?> showProgress, CancellationToken cancel)
    {
        var cell = new NotebookCell(showProgress);
        var (exitCode, fault) = KoalaCommand.Execute(Arguments, new Streams(output, output, TextReader.Null, cancel) { Cell = cell });
        if (exitCode == ExitCodes.Interrupted) throw new OperationCanceledException(cancel);
        // A check that failed has a result, which says so.
        if (exitCode == ExitCodes.Done || (exitCode == ExitCodes.CheckFailed && cell.Value is not null))
            return new NotebookResult(null, cell.Value, cell.IsPrinted);
        return new NotebookResult(fault ?? $"koala {string.Join(' ', Arguments)} ended with exit code {exitCode}", null, false);
    }
}

/// <summary>What a command in a notebook has come to.</summary>
/// <param name="Fault">Why it has no result, as on the command line; null if nothing went wrong.</param>
/// <param name="Value">The result; null if there is none.</param>
/// <param name="IsPrinted">Whether the command has printed its result, so that showing the value would repeat it.</param>
internal sealed record NotebookResult(string? Fault, object? Value, bool IsPrinted);
