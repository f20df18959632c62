using System.Text;

namespace Koala.Lab.Charts.Tables;

/// <summary>A table as it is shown, in HTML and in plain text: numbers to the right, the rest to the left.</summary>
/// <param name="Columns">The heads, from left to right.</param>
/// <param name="Rows">A text a column.</param>
internal sealed record TextTable(IReadOnlyList<Column> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    /// <summary>Above the table.</summary>
    public string? Title { get; init; }

    /// <summary>Below it.</summary>
    public string? Note { get; init; }

    /// <summary>The table in plain text.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Title is not null) text.Append(Title).Append('\n');
        var widths = Columns.Select((c, i) => Rows.Select(r => r[i].Length).Append(c.Name.Length).Max()).ToArray();
        foreach (var row in Rows.Prepend([.. Columns.Select(c => c.Name)]))
            text.Append(string.Join("  ", row.Select((cell, i) => Columns[i].Number ? cell.PadLeft(widths[i]) : cell.PadRight(widths[i]))).TrimEnd()).Append('\n');
        if (Note is not null) text.Append(Note).Append('\n');
        return text.ToString(0, text.Length - 1);
    }

    /// <summary>The table in HTML. Styles stand in the elements: an output has no other place that every front end reads.</summary>
    public string ToHtml()
    {
        var html = new StringBuilder("<table class=\"koala-table\" style=\"border-collapse:collapse;font-variant-numeric:tabular-nums\">");
        if (Title is not null) html.Append("<caption style=\"text-align:left;font-weight:600;padding:4px 0\">").Append(Html.Escape(Title)).Append("</caption>");
        html.Append("<thead><tr style=\"border-bottom:1px solid currentColor\">");
        foreach (var column in Columns) html.Append("<th").Append(Align(column)).Append('>').Append(Html.Escape(column.Name)).Append("</th>");
        html.Append("</tr></thead><tbody>");
        foreach (var row in Rows)
        {
            html.Append("<tr>");
            for (var i = 0; i < row.Count; i++) html.Append("<td").Append(Align(Columns[i])).Append('>').Append(Html.Escape(row[i])).Append("</td>");
            html.Append("</tr>");
        }
        html.Append("</tbody></table>");
        if (Note is not null) html.Append("<div style=\"opacity:.75;font-size:90%\">").Append(Html.Escape(Note)).Append("</div>");
        return html.ToString();
    }

    private static string Align(Column column) => column.Number ? " style=\"text-align:right;padding:2px 10px\"" : " style=\"text-align:left;padding:2px 10px\"";
}

/// <summary>A column's head, and whether numbers stand under it.</summary>
internal sealed record Column(string Name, bool Number = true);
