using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Statistics;
using Koala.Lab.Results;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Charts.Pages;

/// <summary>The headlines of results, and how the HTML of a report carries its headline to the page that shows it.</summary>
public static partial class Headlines
{
    /// <summary>The headline of the first report in HTML that Koala made; empty if there is none.</summary>
    /// <param name="html">The HTML, such as the outputs of a notebook's cells.</param>
    public static IReadOnlyList<HeadlineFigure> FirstIn(IEnumerable<string> html)
    {
        var match = html.Select(part => Marked().Match(part)).FirstOrDefault(match => match.Success);
        if (match is null) return [];
        try
        {
            return JsonSerializer.Deserialize<HeadlineFigure[]>(WebUtility.HtmlDecode(match.Groups["json"].Value), JsonFormat.Line) ?? [];
        }
        catch (JsonException)
        {
            // The HTML only looks like Koala's, and a page can do without a headline.
            return [];
        }
    }

    /// <summary>Marks the HTML of a report with its headline.</summary>
    internal static string Mark(IReadOnlyList<HeadlineFigure> headline, string html) =>
        $"<div class=\"koala-report\" data-headline=\"{Html.Escape(JsonSerializer.Serialize(headline, JsonFormat.Line))}\">{html}</div>";

    internal static IReadOnlyList<HeadlineFigure> Of(EvaluationReport report)
    {
        var speed = EvaluationTable.SpeedsMissing(report) is { } missing
            ? new HeadlineFigure("speedup", "-", missing)
            : new HeadlineFigure("speedup", Two(report.Speedup.Median), IntervalText.Render(report.Speedup, report.Batch));
        var length = new HeadlineFigure("acceptance length", Two(report.AcceptanceLength.Mean),
            IntervalText.Render(report.AcceptanceLength, report.Batch));
        return report.Lossless is { } lossless
            ? [length, speed, new HeadlineFigure("lossless", lossless ? "yes" : "no", report.RenderEqual())]
            : [length, speed];
    }

    internal static IReadOnlyList<HeadlineFigure> Of(RunRow run)
    {
        string Field(string name) => run.Fields[name] is { } value ? ResultText.Rounded(value) : "-";
        var steps = run.Fields.GetValueOrDefault("options.training.steps") is { } all ? $"of {ResultText.Rounded(all)}" : "";
        return
        [
            new("last loss", Field("loss"), "minimised loss, nats"),
            new("held-out accuracy", Field("accuracy"), "at depth 1"),
            new("steps", Field("steps"), $"{steps}, {Field("state")}".TrimStart(',', ' ')),
        ];
    }

    internal static IReadOnlyList<HeadlineFigure> Of(RunTable runs)
    {
        var damaged = runs.Damaged.Count == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{runs.Damaged.Count} damaged");
        return
        [
            new("runs", runs.Rows.Count.ToString(CultureInfo.InvariantCulture), damaged),
            .. Range(runs, "acceptanceLength", "acceptance length"),
            .. Range(runs, "speedup", "speedup"),
            .. Range(runs, "loss", "last loss"),
        ];
    }

    private static IEnumerable<HeadlineFigure> Range(RunTable runs, string field, string name)
    {
        double[] values = [.. runs.Rows.Select(row => row.Fields[field]).OfType<double>()];
        if (values.Length == 0) yield break;
        var (low, high) = (Two(values.Min()), Two(values.Max()));
        var note = string.Create(CultureInfo.InvariantCulture, $"of {values.Length} {(values.Length == 1 ? "run" : "runs")}");
        yield return new HeadlineFigure(name, low == high ? low : $"{low} to {high}", note);
    }

    private static string Two(double value) => value.ToString("F2", CultureInfo.InvariantCulture);

    [GeneratedRegex("<div class=\"koala-report\" data-headline=\"(?<json>[^\"]*)\">")]
    private static partial Regex Marked();
}
