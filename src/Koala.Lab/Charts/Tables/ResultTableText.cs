using Koala.Lab.Results;

namespace Koala.Lab.Charts.Tables;

/// <summary>Shows rows of results as a table: numbers with four digits, times to the minute.</summary>
internal static class ResultTableText
{
    /// <summary>The table with all its rows.</summary>
    public static TextTable From(ResultTable table) => new(
        [.. table.Columns.Select((name, i) => new Column(name, table.Rows.Any(row => row[i] is double)))],
        [.. table.Rows.Select(row => (IReadOnlyList<string>)[.. row.Select(ResultText.Rounded)])]);
}
