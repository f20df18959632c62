using System.Globalization;
using Microsoft.Data.Analysis;

namespace Koala.Lab.Charts.Tables;

/// <summary>Shows a data frame as a table: its first rows and columns, and their total numbers.</summary>
internal static class DataFrameText
{
    private const int MostRows = 50;
    private const int MostColumns = 30;
    private const int MostCharacters = 120;

    public static TextTable From(DataFrame frame)
    {
        var columns = frame.Columns.Take(MostColumns).ToArray();
        var rows = (int)Math.Min(frame.Rows.Count, MostRows);
        return new TextTable([.. columns.Select(c => new Column(c.Name, c.IsNumericColumn()))],
            [.. Enumerable.Range(0, rows).Select(i => (IReadOnlyList<string>)[.. columns.Select(c => Cell(c[i]))])])
        {
            Note = $"{Count(rows, frame.Rows.Count)} rows, {Count(columns.Length, frame.Columns.Count)} columns",
        };
    }

    private static string Count(int shown, long all) =>
        string.Create(CultureInfo.InvariantCulture, $"{(shown < all ? $"{shown} of " : "")}{all}");

    private static string Cell(object? value)
    {
        var text = value switch
        {
            null => "",
            // What was not measured; Koala's other tables show it in the same way.
            double.NaN or float.NaN => "-",
            double or float => ((IFormattable)value).ToString("G6", CultureInfo.InvariantCulture),
            DateTime time => time.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture),
            IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString() ?? "",
        };
        text = text.ReplaceLineEndings(" ");
        return text.Length <= MostCharacters ? text : $"{text[..(MostCharacters - 1)]}…";
    }
}
