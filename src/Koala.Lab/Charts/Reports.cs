using System.Globalization;
using Koala.Lab.Charts.Pages;
using Koala.Lab.Charts.Tables;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Diagnosis;
using Koala.Lab.Evaluation.Statistics;
using Koala.Lab.Results;
using Koala.Lab.Sweeps;

namespace Koala.Lab.Charts;

/// <summary>Renders reports, traces and answers as tables and figures.</summary>
internal static class Reports
{
    private static readonly Column[] s_facts = [new("", Number: false), new(""), new("95% interval")];

    public static string Html(DecodingTrace trace)
    {
        if (trace.Rounds.Count == 0) return $"<p>{Charts.Html.Escape(trace.ToString())}</p>";
        var alphas = trace.PositionAcceptance.Select((alpha, i) => (IReadOnlyList<string>)[Depth(i + 1), Two(alpha)]);
        var summary = new TextTable(s_facts[..2],
        [
            ["rounds", trace.Rounds.Count.ToString(CultureInfo.InvariantCulture)],
            ["acceptance length", Two(trace.AcceptanceLength)],
            .. alphas,
            ["draft, ms per round", Two(trace.Rounds.Average(r => r.DraftMs))],
            ["verify, ms per round", Two(trace.Rounds.Average(r => r.VerifyMs))],
            ["bookkeeping, ms per round", Two(trace.Rounds.Average(r => r.BookkeepingMs))],
        ]);
        return Chart.AcceptanceLength(trace).Html + Chart.RoundTimes(trace).Html + summary.ToHtml();
    }

    public static string Html(EvaluationReport report) => Headlines.Mark(Headlines.Of(report),
        FactsHtml(report) + (report.ByCategory.Count > 0 ? CategoriesHtml(report) : ""));

    /// <summary>The figures of the whole report.</summary>
    public static string FactsHtml(EvaluationReport report)
    {
        string Count(long count) => count.ToString(CultureInfo.InvariantCulture);
        var rows = new List<IReadOnlyList<string>>
        {
            new[] { "acceptance length", Two(report.AcceptanceLength.Mean), IntervalText.Render(report.AcceptanceLength, report.Batch) },
            new[] { "speedup", Two(report.Speedup.Median), SpeedupNote(report) },
            new[] { "baseline, tokens/s", One(report.Baseline.TokensPerSecond), "" },
            new[] { "with the head, tokens/s", One(report.Speculative.TokensPerSecond), "" },
        };
        rows.AddRange(EvaluationTable.PositionAcceptance(report).Select((text, i) => (IReadOnlyList<string>)[Depth(i + 1), text, ""]));
        rows.AddRange(report.NAlpha.Select((alpha, n) => (IReadOnlyList<string>)[$"{n}-alpha", Two(alpha), ""]));
        if (report.Calibration is { } calibration)
        {
            rows.Add(["calibration error of the confidences", Number(calibration.Error, "F3"),
                $"{Count(calibration.Bins.Sum(bin => bin.Tokens))} tokens"]);
        }
        if (double.IsFinite(report.BreakEven))
        {
            rows.Add(["predicted speedup", Two(report.Predicted), ""]);
            rows.Add(["break-even acceptance length", Two(report.BreakEven), ""]);
        }
        if (report.Floor is { } floor)
            rows.Add(["memory floor of a step, ms", Two(floor.StepMs), $"{Number(floor.Share, "P0")} of the baseline's step"]);
        rows.AddRange([
            ["draft, ms per round", Two(report.Round.DraftMs), ""],
            ["verify, ms per round", Two(report.Round.VerifyMs), ""],
            ["bookkeeping, ms per round", Two(report.Round.BookkeepingMs), ""],
            ["prompts", Count(report.Prompts), ""],
            ["skipped", Count(report.Skipped), ""],
            ["tokens", Count(report.Tokens), ""],
        ]);
        if (report.Lossless is { } lossless)
            rows.Add(["lossless", lossless ? "yes" : "no", report.RenderEqual()]);
        var facts = new TextTable(s_facts, rows)
        {
            Title = $"{report.Head} on {report.Target}",
            Note = $"{report.Setup}, {EvaluationTable.RenderDraft(report)}"
                + (report.Acceptance == AcceptanceMode.Lossless ? "" : "; typical acceptance: not lossless")
                + Verdict(report),
        };
        return facts.ToHtml();
    }

    /// <summary>The figures by category.</summary>
    public static string CategoriesHtml(EvaluationReport report)
    {
        Column[] columns =
        [
            new("category", Number: false), new("prompts"), new("acceptance length"), new("95% interval"),
            new("speedup"), new("95% interval"),
        ];
        IReadOnlyList<string> Row(CategoryReport c) =>
        [
            c.Category, c.Prompts.ToString(CultureInfo.InvariantCulture),
            Two(c.AcceptanceLength.Mean), IntervalText.Render(c.AcceptanceLength, report.Batch),
            Two(c.Speedup.Median), double.IsFinite(c.Speedup.Median) ? IntervalText.Render(c.Speedup, report.Batch) : "",
        ];
        return new TextTable(columns, [.. report.ByCategory.Select(Row)]).ToHtml();
    }

    public static string Html(RunTable runs)
    {
        var damaged = runs.Damaged.Select(run => $"<li>{Charts.Html.Escape($"{run.Name}: {run.Fault}")}</li>");
        return ResultTableText.From(runs.ToTable().WithoutEmptyColumns()).ToHtml()
            + (runs.Damaged.Count == 0 ? "" : $"<p>Damaged:</p><ul>{string.Concat(damaged)}</ul>");
    }

    public static string Html(HeadDiagnosis head) =>
        Chart.AcceptanceByDepth(head).Html + $"<pre>{Charts.Html.Escape(head.ToString().TrimEnd())}</pre>";

    public static string Html(SweepSummary summary)
    {
        var options = summary.Options.Count;
        Column[] columns = [.. SummaryText.Titles(summary).Select((title, i) => new Column(title, Number: i >= options))];
        return new TextTable(columns, [.. summary.Rows.Select(row => SummaryText.Cells(summary, row))])
        {
            Note = SummaryText.Note(summary),
        }.ToHtml();
    }

    public static string Html(Generation answer) =>
        $"<div style=\"white-space:pre-wrap;max-width:720px\">{Charts.Html.Escape(answer.Text)}</div>"
        + $"<div style=\"opacity:.75;font-size:90%\">{Charts.Html.Escape(Facts(answer))}</div>";

    public static string Text(Generation answer) => $"{answer.Text}\n({Facts(answer)})";

    private static string Facts(Generation answer)
    {
        var acceptanceLength = new DecodingTrace(answer.Rounds).AcceptanceLength;
        var rounds = answer.Rounds.Any(r => r.Drafted > 0)
            ? string.Create(CultureInfo.InvariantCulture, $", {answer.Rounds.Count} rounds, acceptance length {acceptanceLength:F2}")
            : "";
        var reason = answer.FinishReason == FinishReason.Stop ? "stop" : "length";
        return string.Create(CultureInfo.InvariantCulture,
            $"{answer.Tokens.Count} tokens in {answer.Seconds:F2} s{rounds}; finish reason: {reason}");
    }

    private static string Depth(int depth) => string.Create(CultureInfo.InvariantCulture, $"position acceptance, depth {depth}");

    private static string One(double value) => Number(value, "F1");

    private static string Two(double value) => Number(value, "F2");

    private static string SpeedupNote(EvaluationReport report) =>
        EvaluationTable.SpeedsMissing(report) is null ? IntervalText.Render(report.Speedup, report.Batch) : "not measured";

    private static string Verdict(EvaluationReport report)
    {
        if (EvaluationTable.SpeedsMissing(report) is { } missing) return $"; speed {missing}";
        if (report.SpeedupIsClear || IntervalText.Missing(report.Speedup, report.Batch) is not null) return "";
        return "; the speedup is not distinguishable from 1 (95 % CI)";
    }

    private static string Number(double value, string format) =>
        double.IsFinite(value) ? value.ToString(format, CultureInfo.InvariantCulture) : "-";
}
