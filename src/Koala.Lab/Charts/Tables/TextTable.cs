using System.Text;
using System.Text.RegularExpressions;

namespace Koala.Lab.Charts.Tables;

/// <summary>A table in HTML and in plain text; numbers are aligned to the right and other cells to the left.</summary>
/// <param name="Columns">The columns, from left to right.</param>
/// <param name="Rows">The rows, with one text per column.</param>
internal sealed partial record TextTable(IReadOnlyList<Column> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    private const int LongestLine = 40;

    /// <summary>The text above the table.</summary>
    public string? Title { get; init; }

    /// <summary>The text below the table.</summary>
    public string? Note { get; init; }

    /// <summary>The table in plain text.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Title is not null) text.Append(Title).Append('\n');
        var widths = Columns.Select((c, i) => Rows.Select(r => r[i].Length).Append(c.Name.Length).Max()).ToArray();
        foreach (var row in Rows.Prepend([.. Columns.Select(c => c.Name)]))
        {
            var cells = row.Select((cell, i) => Columns[i].Number ? cell.PadLeft(widths[i]) : cell.PadRight(widths[i]));
            text.Append(string.Join("  ", cells).TrimEnd()).Append('\n');
        }
        if (Note is not null) text.Append(Note).Append('\n');
        return text.ToString(0, text.Length - 1);
    }

    /// <summary>
    /// The table in HTML. The styles stand in the elements, because an output has no other place that every front end reads.
    /// </summary>
    public string ToHtml()
    {
        var html = new StringBuilder(
            $"<table class=\"koala-table{Kind}\" style=\"border-collapse:collapse;font-variant-numeric:tabular-nums\">");
        if (Title is not null)
            html.Append($"<caption style=\"text-align:left;font-weight:600;padding:4px 0\">{Html.Escape(Title)}</caption>");
        if (HasHeadings) AppendHeadings(html);
        html.Append("<tbody>");
        foreach (var row in Rows)
        {
            html.Append("<tr>");
            foreach (var (column, cell) in Columns.Zip(row))
                html.Append($"<td{Label(column)}{Long(cell)}{Align(column)}>{Html.Escape(cell)}</td>");
            html.Append("</tr>");
        }
        html.Append("</tbody></table>");
        if (Note is not null) html.Append("<div style=\"opacity:.75;font-size:90%\">").Append(Html.Escape(Note)).Append("</div>");
        return html.ToString();
    }

    private bool HasHeadings => Columns.Any(column => column.Name.Length > 0);

    // What a page makes of the table: pairs of a name and a value break long values, and rows of many columns become blocks on a phone.
    private string Kind => !HasHeadings ? " pairs" : Columns.Count > 3 ? " rows" : "";

    private void AppendHeadings(StringBuilder html)
    {
        html.Append("<thead><tr style=\"border-bottom:1px solid currentColor\">");
        foreach (var column in Columns) html.Append($"<th{Align(column)}>{Breakable(Html.Escape(column.Name))}</th>");
        html.Append("</tr></thead>");
    }

    // A page for a phone shows a row as a block, with the heading in front of each cell.
    private static string Label(Column column) => column.Name.Length == 0 ? "" : $" data-label=\"{Html.Escape(column.Name)}\"";

    // What is too long for one line may be broken.
    private static string Long(string cell) => cell.Length <= LongestLine ? "" : " class=\"long\"";

    // The name of a field may be broken between its words.
    private static string Breakable(string name) => WordStart().Replace(name, "<wbr>");

    [GeneratedRegex(@"(?<=[a-z.])(?=[A-Z])|(?<=\.)(?=[a-z])")]
    private static partial Regex WordStart();

    private static string Align(Column column) => $" style=\"text-align:{(column.Number ? "right" : "left")};padding:2px 10px\"";
}

/// <summary>The heading of a column, and whether its cells are numbers.</summary>
internal sealed record Column(string Name, bool Number = true);
