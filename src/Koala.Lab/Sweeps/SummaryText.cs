using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Koala.Lab.Sweeps;

/// <summary>The summary of a sweep as Markdown, CSV, LaTeX and plain text.</summary>
internal static class SummaryText
{
    private static readonly (string Title, string Name, string Format, Func<SweepRow, SweepFigure> Of)[] s_figures =
    [
        ("acceptance length", "acceptanceLength", "F2", row => row.AcceptanceLength),
        ("speedup", "speedup", "F2", row => row.Speedup),
        ("tokens/s", "tokensPerSecond", "F0", row => row.TokensPerSecond),
        ("held-out accuracy", "heldOutAccuracy", "F3", row => row.HeldOutAccuracy),
        ("training s", "trainingSeconds", "F1", row => row.TrainingSeconds),
    ];

    public static string Plain(SweepSummary summary)
    {
        var text = new StringBuilder(Markdown(summary));
        text.Append(CultureInfo.InvariantCulture, $"\n\n{Note(summary)}");
        foreach (var (cell, failure) in summary.Failed)
            text.Append(CultureInfo.InvariantCulture, $"\ncell {cell} failed: {failure.ReplaceLineEndings(" ")}");
        return text.ToString();
    }

    public static string Markdown(SweepSummary summary)
    {
        string[][] rows = [Titles(summary), .. summary.Rows.Select(row => Cells(summary, row))];
        int[] widths = [.. rows[0].Select((_, column) => rows.Max(row => row[column].Length))];
        var options = summary.Options.Count;
        // Values of options are aligned to the left, figures to the right.
        string Line(string[] cells) =>
            $"| {string.Join(" | ", cells.Select((cell, i) => i < options ? cell.PadRight(widths[i]) : cell.PadLeft(widths[i])))} |";
        var rules = widths.Select((width, i) => i < options ? new string('-', width) : $"{new string('-', width - 1)}:");
        var rule = $"| {string.Join(" | ", rules)} |";
        return string.Join('\n', [Line(rows[0]), rule, .. rows.Skip(1).Select(Line)]);
    }

    public static string Csv(SweepSummary summary)
    {
        var text = new StringBuilder();
        void Line(IEnumerable<string> fields) => text.AppendJoin(',', fields.Select(Quoted)).Append('\n');
        Line([.. summary.Options, "seeds", .. s_figures.SelectMany(f => (string[])[f.Name, $"{f.Name}Low", $"{f.Name}High"])]);
        foreach (var row in summary.Rows)
        {
            Line(
            [
                .. summary.Options.Select(name => Value(row, name)),
                row.Seeds.ToString(CultureInfo.InvariantCulture),
                .. s_figures.Select(f => f.Of(row)).SelectMany(figure => (double[])[figure.Mean, figure.Low, figure.High]).Select(Number),
            ]);
        }
        return text.ToString();
    }

    public static string Latex(SweepSummary summary)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"% {Note(summary).Replace("\n", "\n% ", StringComparison.Ordinal)}\n")
            .Append(CultureInfo.InvariantCulture, $"\\begin{{tabular}}{{{new string('l', summary.Options.Count)}")
            .Append('r', s_figures.Length + 1).Append("}\n\\toprule\n");
        void Line(IEnumerable<string> cells) => text.AppendJoin(" & ", cells.Select(Escaped)).Append(" \\\\\n");
        Line(Titles(summary));
        text.Append("\\midrule\n");
        foreach (var row in summary.Rows) Line(Cells(summary, row));
        return text.Append("\\bottomrule\n\\end{tabular}\n").ToString();
    }

    /// <summary>What the figures are and what they cost.</summary>
    public static string Note(SweepSummary summary)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{summary.Target} on {summary.Device}: ")
            .Append(CultureInfo.InvariantCulture, $"{summary.Finished} of {summary.Cells} cells are finished, ")
            .Append(CultureInfo.InvariantCulture, $"{summary.TrainingSeconds:F0} s of training. ")
            .Append("Means with 95 % intervals over seeds, those of acceptance and speed over prompts as well.");
        var missing = summary.Rows.SelectMany(row => (SweepFigure[])[row.AcceptanceLength, row.Speedup])
            .Select(figure => figure.Missing).OfType<string>().Distinct().Where(why => why != "not measured").ToArray();
        if (missing.Length > 0) text.Append("\nNot measured where there is a dash: ").AppendJoin("; ", missing).Append('.');
        if (summary.Rows.Any(row => row.Lossless == false)) text.Append("\nNot lossless: some answers differ from the target's own.");
        return text.ToString();
    }

    /// <summary>The titles of the columns: first those of the options.</summary>
    public static string[] Titles(SweepSummary summary) => [.. summary.Options, "seeds", .. s_figures.Select(f => f.Title)];

    /// <summary>The cells of a row.</summary>
    public static string[] Cells(SweepSummary summary, SweepRow row) =>
    [
        .. summary.Options.Select(name => Value(row, name)),
        row.Seeds.ToString(CultureInfo.InvariantCulture),
        .. s_figures.Select(f => f.Of(row).Render(f.Format)),
    ];

    private static string Value(SweepRow row, string name) =>
        row.Options.TryGetValue(name, out JsonNode? value) ? SweepSetting.Text(value) : "default";

    private static string Number(double value) => double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : "";

    private static string Quoted(string field) =>
        field.AsSpan().ContainsAny(",\"\n\r") ? $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : field;

    private static string Escaped(string cell)
    {
        var text = new StringBuilder();
        foreach (var c in cell)
        {
            text.Append(c switch
            {
                '\\' => "\\textbackslash{}",
                '~' => "\\textasciitilde{}",
                '^' => "\\textasciicircum{}",
                '&' or '%' or '$' or '#' or '_' or '{' or '}' => $"\\{c}",
                // A line that begins with a bracket would be the argument of the line break before it.
                '[' => "{[}",
                _ => c,
            });
        }
        return text.ToString();
    }
}
