using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Diagnosis;
using Koala.Lab.Results;
using Koala.Lab.Runs;

namespace Koala.Lab.Charts.Pages;

/// <summary>The pages of results: of a run, of a report, of several runs, and of the diagnosis of a head.</summary>
public static class ResultPage
{
    /// <summary>The page of a run with its newest report.</summary>
    /// <param name="run">The run.</param>
    /// <param name="related">Runs that belong to it, such as its control, which the page lists beside it; null if there are none.</param>
    /// <exception cref="KoalaException">The run's metrics cannot be read.</exception>
    public static Page OfRun(RunRow run, RunTable? related = null)
    {
        ArgumentNullException.ThrowIfNull(run);
        var metrics = MetricsLog.Read(run.Folder.MetricsFile);
        var sections = new PageSections();
        if (related is { Rows.Count: > 1 }) sections.Add("Runs", Scroll(Reports.Html(related)));
        if (metrics.Count > 0)
            sections.Add("Training", Chart.TrainingLosses(run.Folder).Html + Chart.TrainingAccuracy(run.Folder).Html);
        if (run.Report is { } report) AddReport(sections, report);
        sections.Add("Configuration", Provenances.Configuration(run));
        sections.Add("Provenance", Provenances.OfRun(run));
        var headline = run.Report is { } measured ? Headlines.Of(measured) : Headlines.Of(run);
        var footer = run.Report?.Provenance is { } origin
            ? Page.FooterOf(origin.Commit, origin.Machine, origin.Measured)
            : Page.FooterOf(run.Record.Commit, run.Record.Machine, run.Record.Ended ?? run.Record.Started);
        return sections.ToPage(run.Name) with { Headline = headline, Footer = footer };
    }

    /// <summary>The page of a report.</summary>
    public static Page OfReport(EvaluationReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        var sections = new PageSections();
        AddReport(sections, report);
        if (report.Provenance is { } provenance) sections.Add("Provenance", Provenances.OfReport(provenance));
        return sections.ToPage($"{report.Head} on {report.Target}") with
        {
            Headline = Headlines.Of(report),
            Footer = report.Provenance is { } origin ? Page.FooterOf(origin.Commit, origin.Machine, origin.Measured) : "",
        };
    }

    /// <summary>The page of several runs: a table of them, and their charts beside each other.</summary>
    /// <param name="runs">The runs, at least one.</param>
    /// <param name="title">The title, such as the name of their folder.</param>
    /// <exception cref="KoalaException">The metrics of a run cannot be read.</exception>
    public static Page OfRuns(RunTable runs, string title)
    {
        ArgumentNullException.ThrowIfNull(runs);
        var sections = new PageSections();
        sections.Add("Runs", Scroll(Reports.Html(runs)));
        var measured = runs.Rows.Where(row => row.Report is not null).Select(row => row.Report! with { Head = row.Name }).ToArray();
        if (measured.Length > 0) sections.Add("Evaluation", ChartsOf(measured));
        sections.Add("Training", Chart.TrainingLosses(runs).Html);
        sections.Add("Configuration", Provenances.Differences(runs));
        sections.Add("Provenance", Provenances.OfRuns(runs));
        var newest = runs.Rows.MaxBy(row => row.Record.Started)!.Record;
        return sections.ToPage(title) with
        {
            Headline = Headlines.Of(runs),
            Footer = Page.FooterOf(newest.Commit, newest.Machine, newest.Ended ?? newest.Started),
        };
    }

    /// <summary>The page of the diagnosis of a head, as <c>koala inspect</c> writes it.</summary>
    /// <param name="head">The diagnosis.</param>
    /// <param name="title">The title, such as the names of head and target.</param>
    public static Page OfDiagnosis(HeadDiagnosis head, string title)
    {
        ArgumentNullException.ThrowIfNull(head);
        var sections = new PageSections();
        var sources = head.References.Select(reference => $"<li>{Html.Escape($"{reference}: {reference.Source}")}</li>");
        sections.Add("Acceptance", Chart.AcceptanceByDepth(head).Html + $"<ul>{string.Concat(sources)}</ul>\n");
        sections.Add("Findings", $"<ul>{string.Concat(head.Findings.Select(finding => $"<li>{Html.Escape(finding)}</li>"))}</ul>\n");
        sections.Add("Figures", Scroll($"<pre>{Html.Escape(head.ToString().TrimEnd())}</pre>"));
        return sections.ToPage(title);
    }

    private static void AddReport(PageSections sections, EvaluationReport report)
    {
        sections.Add("Evaluation", ChartsOf(report) + Scroll(Reports.FactsHtml(report)));
        if (report.ByContextLength is { Count: > 1 }) sections.Add("Context", Chart.AcceptanceByContextLength(report).Html);
        if (report.Calibration is not null) sections.Add("Confidence", Chart.Reliability(report).Html);
        if (report.ByCategory.Count > 0)
        {
            var byCategory = Chart.AcceptanceLengthByCategory(report).Html;
            if (EvaluationTable.SpeedsMissing(report) is null) byCategory += Chart.SpeedupByCategory(report).Html;
            sections.Add("Categories", byCategory + Scroll(Reports.CategoriesHtml(report)));
        }
        if (report.Answers.Count > 0) sections.Add("Prompts", Scroll(PromptTable.Create(report).ToHtml()));
    }

    // Reports without speeds have no charts of them. The speedup of one report stands in the headline.
    private static string ChartsOf(params EvaluationReport[] reports)
    {
        var charts = Chart.PositionAcceptance(reports).Html;
        if (reports.Length > 1 && reports.Any(report => double.IsFinite(report.Speedup.Median))) charts += Chart.Speedup(reports).Html;
        return reports.Any(report => double.IsFinite(report.Round.VerifyMs)) ? charts + Chart.RoundTimes(reports).Html : charts;
    }

    internal static string Scroll(string table) => $"<div class=\"scroll\" tabindex=\"0\">{table}</div>\n";
}
