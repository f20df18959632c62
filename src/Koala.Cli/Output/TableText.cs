using System.Text.RegularExpressions;
using Koala.Lab.Results;
using Spectre.Console;

namespace Koala.Cli.Output;

/// <summary>Prints results as a table with a line per row, however wide it is; numbers are aligned to the right.</summary>
internal static partial class TableText
{
    // In a narrower terminal the library would break words in every cell, which is harder to read than lines that the terminal breaks.
    private const int Widest = 10_000;

    public static void Write(Streams streams, ResultTable table)
    {
        var text = new Table { Border = TableBorder.None };
        foreach (var (i, name) in table.Columns.Index())
        {
            var column = new TableColumn(new Text(Heading(name))) { Padding = new Padding(0, 0, 2, 0) };
            text.AddColumn(table.Rows.Any(row => row[i] is double) ? column.RightAligned() : column);
        }
        foreach (var row in table.Rows) text.AddRow(row.Select(value => new Text(Cell(value))));
        foreach (var line in Render(text)) streams.Output.WriteLine(line);
    }

    // The library fills every line with blanks up to the width of the table.
    private static IEnumerable<string> Render(Table table)
    {
        using var text = new StringWriter { NewLine = "\n" };
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = Widest;
        console.Write(table);
        return text.ToString().TrimEnd('\n').Split('\n').Select(line => line.TrimEnd());
    }

    // The words of a name stand below each other, so that the column is not wider than its values.
    private static string Heading(string name) => WordStart().Replace(name, "\n");

    // Values come from files; a terminal must not take them for its own codes.
    private static string Cell(object? value) =>
        string.Concat(ResultText.Rounded(value).ReplaceLineEndings(" ").Select(c => char.IsControl(c) ? '?' : c));

    [GeneratedRegex("(?<=[a-z])(?=[A-Z])")]
    private static partial Regex WordStart();
}
