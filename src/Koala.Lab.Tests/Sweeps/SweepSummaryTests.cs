using System.Text.Json.Nodes;
using Koala.Lab.Charts;
using Koala.Lab.Charts.Figures;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Comparison;
using Koala.Lab.Sweeps;

namespace Koala.Lab.Tests.Sweeps;

/// <summary>The table of a sweep in its four forms, its intervals, and its figures.</summary>
public sealed class SweepSummaryTests
{
    private static readonly SweepFigure s_seconds = new(61.4, 60.25, 62.55);

    private static readonly Dictionary<string, string> s_failed = new() { ["a"] = "not\nfinite" };

    private static readonly SweepSummary s_summary = new("koala-nano", "cpu", 7, 6, s_failed,
    [
        Row(1, "kl_x", new SweepFigure(1.5, 1.4, 1.6)),
        Row(2, "kl_x", new SweepFigure(1.75, double.NaN, double.NaN)),
        Row(1, "\"a\", b", SweepFigure.Unknown("other work disturbed a measurement")),
    ])
    {
        TrainingSeconds = 368.4,
    };

    [Fact]
    public void The_table_in_Markdown_is_aligned()
    {
        var lines = s_summary.ToMarkdown().Split('\n');
        string[] expected =
        [
            "| layers | preset | seeds | acceptance length | speedup | tokens/s | held-out accuracy |        training s |",
            "| ------ | ------ | ----: | ----------------: | ------: | -------: | ----------------: | ----------------: |",
            "| 1      | kl_x   |     2 | 1.50 [1.40, 1.60] |       - |      100 |             0.250 | 61.4 [60.2, 62.5] |",
        ];
        Assert.Equal(expected, lines.Take(3));
        Assert.All(lines, line => Assert.Equal(lines[0].Length, line.Length));
        var plain = s_summary.ToString();
        Assert.Contains("6 of 7 cells are finished, 368 s of training", plain, StringComparison.Ordinal);
        Assert.Contains("other work disturbed a measurement", plain, StringComparison.Ordinal);
        Assert.EndsWith("\ncell a failed: not finite", plain, StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_in_CSV_has_numbers_in_full_and_quotes_what_needs_it()
    {
        var lines = s_summary.ToCsv().Split('\n');
        const string Titles = "layers,preset,seeds,acceptanceLength,acceptanceLengthLow,acceptanceLengthHigh,speedup,";
        Assert.StartsWith(Titles, lines[0], StringComparison.Ordinal);
        Assert.StartsWith("1,kl_x,2,1.5,1.4,1.6,,,,100,", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("1,\"\"\"a\"\", b\",2,,,,", lines[3], StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_in_LaTeX_uses_booktabs_and_escapes_what_is_special()
    {
        var latex = s_summary.ToLatex();
        Assert.Contains("\\begin{tabular}{llrrrrrr}\n\\toprule\nlayers & preset & seeds", latex, StringComparison.Ordinal);
        Assert.Contains("1 & kl\\_x & 2 & 1.50 {[}1.40, 1.60] & - & 100 & 0.250 & 61.4 {[}60.2, 62.5] \\\\\n", latex);
        Assert.EndsWith("\\bottomrule\n\\end{tabular}\n", latex, StringComparison.Ordinal);
        // Before the table stand comments only.
        var before = latex[..latex.IndexOf("\\begin", StringComparison.Ordinal)].TrimEnd('\n').Split('\n');
        Assert.All(before, line => Assert.StartsWith("% ", line));
    }

    [Fact]
    public void An_interval_over_seeds_is_that_of_Students_t()
    {
        // The quantile of Student's t with two degrees of freedom is 4.3027.
        var figure = SweepFigure.OverSeeds([1, 2, 3]);
        Assert.Equal((2, 2 - 4.3027 / Math.Sqrt(3), 2 + 4.3027 / Math.Sqrt(3)), (figure.Mean, figure.Low, figure.High),
            (a, b) => Math.Abs(a.Item1 - b.Item1) + Math.Abs(a.Item2 - b.Item2) + Math.Abs(a.Item3 - b.Item3) < 1e-4);
        Assert.Equal((5, double.NaN), (SweepFigure.OverSeeds([5]).Mean, SweepFigure.OverSeeds([5]).Low));
        Assert.Equal("not measured", SweepFigure.OverSeeds([5, double.NaN]).Missing);
    }

    [Fact]
    public void A_figure_of_answers_is_pooled_and_has_the_interval_of_a_comparison()
    {
        var random = new Random(1);
        int[] Accepted() => [.. Enumerable.Range(0, 12).Select(_ => random.Next(0, 20))];
        EvaluationReport[] reports = [Report(Accepted()), Report(Accepted()), Report(Accepted())];
        var figure = SweepFigure.OverAnswers(FigureOfAnswers.AcceptanceLength, reports);
        var expected = 1 + reports.Average(report => report.Answers.Average(answer => answer.Speculative.Accepted / 10.0));
        Assert.Equal(expected, figure.Mean, 12);
        double[][] values = [.. reports.Select(report => report.Answers.Select(answer => answer.Speculative.Accepted / 10.0).ToArray())];
        Assert.Equal(CrossedMean.Of(values).HalfWidth, figure.High - figure.Mean, 12);

        Assert.Equal("the seeds have other prompts",
            SweepFigure.OverAnswers(FigureOfAnswers.AcceptanceLength, [reports[0], Report([1, 2])]).Missing);
        Assert.Equal("other work disturbed a measurement",
            SweepFigure.OverAnswers(FigureOfAnswers.Speedup, [reports[0], reports[1] with { Disturbances = ["busy"] }]).Missing);
        // Nine prompts are too few for an interval.
        Assert.True(double.IsNaN(SweepFigure.OverAnswers(FigureOfAnswers.AcceptanceLength, [Report([.. Enumerable.Range(0, 9)])]).Low));
    }

    [Fact]
    public void A_figure_has_a_line_for_each_setting_of_the_other_options()
    {
        var plot = SweepFigures.AcceptanceLength(s_summary, over: null);
        Assert.Equal(["preset kl_x", "preset \"a\", b"], plot.Series.Select(series => series.Name));
        Assert.Equal([(1.0, 1.5), (2.0, 1.75)], plot.Series[0].Points.Select(point => (point.Key, point.Value)));
        Assert.Equal((1.4, 1.6), (plot.Series[0].Points[0].Low, plot.Series[0].Points[0].High));
        Assert.Equal(["kl_x", "\"a\", b"], SweepFigures.Speedup(s_summary, "preset").Keys.Names);
        Assert.Contains("layers, preset", Assert.Throws<KoalaException>(() => SweepFigures.Speedup(s_summary, "seed")).Message);
    }

    [Fact]
    public void A_summary_displays_itself_as_a_table()
    {
        var formatters = new FormatterSource().CreateTypeFormatters().Cast<FormatterSource.Formatter>();
        using var html = new StringWriter();
        Assert.True(formatters.First(formatter => formatter.MimeType == "text/html").Format(s_summary, html));
        Assert.Contains("<table", html.ToString(), StringComparison.Ordinal);
        Assert.Contains("1.50 [1.40, 1.60]", html.ToString(), StringComparison.Ordinal);
    }

    private static SweepRow Row(int layers, string preset, SweepFigure acceptance) =>
        new(new Dictionary<string, JsonNode?> { ["layers"] = layers, ["preset"] = preset }, layers, 2)
        {
            AcceptanceLength = acceptance,
            Speedup = SweepFigure.Unknown("not measured"),
            TokensPerSecond = new SweepFigure(100, double.NaN, double.NaN),
            HeldOutAccuracy = new SweepFigure(0.25, double.NaN, double.NaN),
            TrainingSeconds = s_seconds,
            Lossless = true,
            Disturbed = 0,
            Cells = ["a", "b"],
        };

    // Each answer has ten rounds.
    private static EvaluationReport Report(int[] accepted)
    {
        var report = Koala.Lab.Tests.Charts.Sample.Reports[0];
        return report with
        {
            Disturbances = [],
            Answers = [.. accepted.Select((count, i) => new AnswerReport
            {
                Prompt = $"{i}", Category = "", Turn = 1, PromptTokens = 1,
                Baseline = new AnswerTimes(11 + count, 10 + count, 0, 0, 0.1, []),
                Speculative = new AnswerTimes(11 + count, 10, count, 0, 0.1, []),
            })],
        };
    }
}
