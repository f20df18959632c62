using System.Text;
using Microsoft.DotNet.Interactive.Formatting;
using Microsoft.DotNet.Interactive.Formatting.TabularData;

namespace Koala.Kernel.Display;

/// <summary>Formats the values that the formatter library shows badly by default.</summary>
internal static class Formatters
{
    private const int ShownPerDimension = 20;

    private static readonly Type[] s_textTypes =
    [
        typeof(bool), typeof(byte), typeof(sbyte), typeof(short), typeof(ushort), typeof(int), typeof(uint), typeof(long), typeof(ulong),
        typeof(float), typeof(double), typeof(decimal), typeof(Half), typeof(char), typeof(string), typeof(Guid), typeof(DateTime),
        typeof(DateTimeOffset), typeof(DateOnly), typeof(TimeOnly), typeof(TimeSpan),
    ];

    private static readonly Type[] s_matrixTypes = [typeof(double[,]), typeof(float[,]), typeof(int[,]), typeof(long[,])];

    /// <summary>
    /// Registers the formatters and forwards updates of displayed values. It is called once per process.
    /// </summary>
    public static void Register()
    {
        // Plain text is enough for numbers, dates and similar values.
        foreach (var type in s_textTypes) Formatter.SetPreferredMimeTypesFor(type, MimeBundle.PlainText);
        // By default the library writes 65 KB of HTML for an exception and 13 KB for a file.
        Text(typeof(Exception), value => value.ToString()!);
        Text(typeof(FileSystemInfo), value => ((FileSystemInfo)value).FullName);
        Text(typeof(Type), value => value.ToString()!);
        Text(typeof(Task), value => $"{value.GetType().Name.Split('`')[0]}, {((Task)value).Status}");
        foreach (var type in s_matrixTypes) Text(type, value => Grid((Array)value));
        Formatter.Register<TabularDataResource>(Table, MimeBundle.PlainText);
        Formatter.SubscribeToDisplayedValues(OnDisplayed);
    }

    private static void Text(Type type, Func<object, string> text)
    {
        Formatter.Register(type, (object value, TextWriter writer) => writer.Write(text(value)), MimeBundle.PlainText);
        Formatter.SetPreferredMimeTypesFor(type, MimeBundle.PlainText);
    }

    // The library reports updates here, and values that compiled code shows through the library's Display.
    private static void OnDisplayed(DisplayedValue value)
    {
        var data = MimeBundle.From(value.FormattedValues);
        if (value.IsUpdated) CellContext.Current?.Output.Update(data, value.DisplayId);
        else CellContext.Current?.Output.Display(data, value.DisplayId);
    }

    private static string Table(TabularDataResource table)
    {
        var names = table.Schema.Fields.Select(field => field.Name).ToArray();
        var values = table.Data.Select(row => row.ToDictionary(cell => cell.Key, cell => cell.Value));
        string[][] rows = [names, .. values.Select(row => names.Select(name => $"{row.GetValueOrDefault(name)}").ToArray())];
        var widths = names.Select((_, column) => rows.Max(row => row[column].Length)).ToArray();
        return string.Join('\n', rows.Select(Line));

        string Line(string[] row) => string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd();
    }

    private static string Grid(Array values)
    {
        var text = new StringBuilder($"{values.GetLength(0)} × {values.GetLength(1)}\n");
        var rows = Math.Min(values.GetLength(0), ShownPerDimension);
        var columns = Math.Min(values.GetLength(1), ShownPerDimension);
        for (var row = 0; row < rows; row++)
        {
            text.AppendJoin("  ", Enumerable.Range(0, columns).Select(column => $"{values.GetValue(row, column),8:G5}"));
            if (columns < values.GetLength(1)) text.Append("  …");
            text.Append('\n');
        }
        if (rows < values.GetLength(0)) text.Append("…\n");
        return text.ToString().TrimEnd('\n');
    }
}
