using System.Text.RegularExpressions;
using Koala.Lab.Charts;
using Koala.Lab.Charts.Pages;
using Koala.Lab.Evaluation;
using Koala.Lab.Results;
using Koala.Lab.Runs;
using Koala.Lab.Tests.Results;

namespace Koala.Lab.Tests.Charts;

/// <summary>The pages of <c>koala report</c>. What a browser makes of them is tested with the kernel's pages.</summary>
public sealed partial class ResultPageTests : IDisposable
{
    private readonly SampleRuns _runs = new();

    [Fact]
    public void The_page_of_a_report_begins_with_its_figures_and_says_where_they_come_from()
    {
        var report = ReportFiles.Load(SampleRuns.Report);
        var page = ResultPage.OfReport(report with { Answers = [Answer("p<1>", accepted: 6), Answer("p2", accepted: 3)] });
        Assert.Equal(["acceptance length", "speedup", "lossless"], page.Headline.Select(figure => figure.Name));
        Assert.Equal(new HeadlineFigure("speedup", $"{report.Speedup.Median:F2}", $"[{report.Speedup.Low:F2}, {report.Speedup.High:F2}]"),
            page.Headline[1]);
        Assert.Equal(["Evaluation", "Categories", "Prompts", "Provenance"], page.Contents.Select(entry => entry.Title));
        var html = page.ToHtml();
        foreach (var entry in page.Contents) Assert.Contains($"<h2 id=\"{entry.Id}\">", html, StringComparison.Ordinal);
        Assert.Contains(">p&lt;1&gt;</td>", html, StringComparison.Ordinal);
        Assert.Contains(">4.00<", html, StringComparison.Ordinal);
        Assert.Contains("break-even acceptance length", html, StringComparison.Ordinal);
        Assert.Contains(report.Provenance!.Commit!.Hash, html, StringComparison.Ordinal);
        Assert.Contains($"<footer>Koala, commit {report.Provenance.Commit.Hash[..12]}", html, StringComparison.Ordinal);
        AssertStandsAlone(html);
    }

    [Fact]
    public void A_report_without_speeds_has_none_in_its_prompts()
    {
        var report = ReportFiles.Load(SampleRuns.Report) with
        {
            Disturbances = ["another program ran"],
            Speedup = new MedianInterval(double.NaN, double.NaN, double.NaN),
            Answers = [Answer("p1", accepted: 6)],
        };
        var page = ResultPage.OfReport(report);
        Assert.Equal("-", page.Headline[1].Value);
        Assert.Contains("another program ran", page.Headline[1].Note, StringComparison.Ordinal);
        Assert.DoesNotContain("ms per token", page.Body, StringComparison.Ordinal);
        Assert.DoesNotContain("Speedup by category", page.Body, StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_of_a_run_without_a_report_has_its_loss_and_its_configuration()
    {
        var page = ResultPage.OfRun(RunRow.Read(RunFolder.Open(_runs.At("cells", "k1"))));
        Assert.Equal([new("last loss", "3.333", "minimised loss, nats"), new("held-out accuracy", "0.25", "at depth 1"),
            new HeadlineFigure("steps", "3", "of 4, interrupted")], page.Headline);
        Assert.Equal(["Training", "Configuration", "Provenance"], page.Contents.Select(entry => entry.Title));
        Assert.Contains("training.adversary.weight", page.Body, StringComparison.Ordinal);
        Assert.Contains("koala train --layers 1", page.Body, StringComparison.Ordinal);
        AssertStandsAlone(page.ToHtml());
    }

    [Fact]
    public void The_page_of_seeds_says_what_they_have_in_common_and_names_what_is_damaged()
    {
        _runs.Damage();
        var page = ResultPage.OfRuns(RunTable.Read(_runs.Path), "seeds <of> a head");
        Assert.Equal(new HeadlineFigure("runs", "5", "3 damaged"), page.Headline[0]);
        Assert.Contains(new HeadlineFigure("last loss", "2.50 to 3.50", "of 4 runs"), page.Headline);
        var same = page.Body[page.Body.IndexOf("The same in all runs", StringComparison.Ordinal)..];
        Assert.Contains("training.learningRate", same, StringComparison.Ordinal);
        Assert.DoesNotContain("training.seed", same, StringComparison.Ordinal);
        Assert.Contains("has format version 9", page.Body, StringComparison.Ordinal);
        Assert.Contains("<title>seeds &lt;of&gt; a head</title>", page.ToHtml(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_headline_of_a_report_is_found_in_its_HTML_and_nowhere_else()
    {
        var report = ReportFiles.Load(SampleRuns.Report);
        using var html = new StringWriter();
        var formatters = new FormatterSource().CreateTypeFormatters().Cast<FormatterSource.Formatter>();
        formatters.First(formatter => formatter.MimeType == "text/html").Format(report, html);
        Assert.Equal(ResultPage.OfReport(report).Headline, Headlines.FirstIn(["<p>a text</p>", html.ToString()]));
        Assert.Empty(Headlines.FirstIn(["<div class=\"koala-report\" data-headline=\"{\">", html.ToString()]));
        Assert.Empty(Headlines.FirstIn([]));
    }

    [Fact]
    public void Accuracy_has_an_axis_that_fits_it_and_a_label_says_step()
    {
        var layout = Parse(Chart.TrainingAccuracy(Sample.Metrics(100)).Json).GetProperty("layout");
        Assert.False(layout.GetProperty("yaxis").TryGetProperty("range", out _));
        Assert.Equal("step %{x}", layout.GetProperty("xaxis").GetProperty("unifiedhovertitle").GetProperty("text").GetString());
        Assert.StartsWith("system-ui", layout.GetProperty("font").GetProperty("family").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Data_frames_have_the_rows_of_the_runs()
    {
        var runs = RunTable.Read(_runs.Path);
        var frame = Table.From(runs);
        Assert.Equal((5, 13), ((int)frame.Rows.Count, frame.Columns.Count));
        Assert.Equal(2.5, frame.Rows[1][8]);
        Assert.Null(frame.Rows[0][10]);
        Assert.Equal(runs.ToSteps().Rows.Count, (int)Table.From(runs.ToSteps()).Rows.Count);
    }

    public void Dispose() => _runs.Dispose();

    private static System.Text.Json.JsonElement Parse(string json) => Cli.CommandRun.Parse(json);

    private static AnswerReport Answer(string prompt, int accepted) => new()
    {
        Prompt = prompt,
        Category = "writing",
        Turn = 1,
        PromptTokens = 10,
        Equal = true,
        Baseline = new AnswerTimes(9, 8, 0, 0.1, 0.02, []),
        Speculative = new AnswerTimes(9, 2, accepted, 0.1, 0.01, []),
    };

    private static void AssertStandsAlone(string html)
    {
        Assert.Empty(Fetched().Matches(html).Select(match => match.Value));
        Assert.Single(Regex.Matches(html, "<h1>"));
    }

    [GeneratedRegex("""<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!data:)[^"]*"|@import|url\(["']?http""")]
    private static partial Regex Fetched();
}
