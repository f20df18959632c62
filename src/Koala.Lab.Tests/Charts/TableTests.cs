using System.Xml.Linq;
using Koala.Lab.Charts;
using Koala.Lab.Charts.Tables;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Microsoft.Data.Analysis;

namespace Koala.Lab.Tests.Charts;

/// <summary>Tables in HTML and in plain text.</summary>
public sealed class TableTests
{
    [Fact]
    public void Numbers_are_right_aligned_and_words_left_aligned()
    {
        var frame = new DataFrame(new StringDataFrameColumn("name", ["a", null]),
            new PrimitiveDataFrameColumn<double>("value", [1.23456789, null]),
            new PrimitiveDataFrameColumn<int>("count", [1, 20000]));
        var table = Html(DataFrameText.From(frame).ToHtml());
        Assert.Equal(["name", "value", "count"], table.Descendants("th").Select(e => e.Value));
        Assert.Equal(["a", "1.23457", "1", "", "", "20000"], table.Descendants("td").Select(e => e.Value));
        foreach (var row in table.Descendants("tr"))
            Assert.Equal(["left", "right", "right"],
                row.Elements()
                    .Select(e => e.Attribute("style")!.Value)
                    .Select(style => style.Split(';')[0].Split(':')[1]));
        Assert.Equal("name    value  count\na     1.23457      1\n               20000\n2 rows, 3 columns",
            DataFrameText.From(frame).ToString());
    }

    [Fact]
    public void A_speed_that_was_not_measured_is_a_dash()
    {
        var frame = new DataFrame(new PrimitiveDataFrameColumn<double>("speedup", [1.5, double.NaN]),
            new PrimitiveDataFrameColumn<float>("share", [float.NaN, 0.25f]));
        Assert.Equal(["1.5", "-", "-", "0.25"], Html(DataFrameText.From(frame).ToHtml()).Descendants("td").Select(e => e.Value));
    }

    [Fact]
    public void A_large_frame_is_cut_and_says_so()
    {
        var columns = Enumerable.Range(0, 40)
            .Select(DataFrameColumn (i) => new PrimitiveDataFrameColumn<int>($"c{i}", Enumerable.Range(0, 1000)))
            .ToArray();
        var table = DataFrameText.From(new DataFrame(columns));
        Assert.Equal((50, 30), (table.Rows.Count, table.Columns.Count));
        Assert.Contains("50 of 1000 rows, 30 of 40 columns", table.ToHtml(), StringComparison.Ordinal);
    }

    [Fact]
    public void Names_and_cells_from_strangers_stay_text()
    {
        var html = DataFrameText.From(new DataFrame(new StringDataFrameColumn(Sample.Hostile,
            [Sample.Hostile, new string('x', 1000)])))
            .ToHtml();
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
        Assert.Equal(Sample.Hostile.Replace('\u0001', '\ufffd'), Html(html).Descendants("td").First().Value);
        Assert.Equal(120, Html(html).Descendants("td").Last().Value.Length);
    }

    [Fact]
    public void A_trace_and_reports_and_metrics_become_frames()
    {
        var trace = Table.From(Sample.Trace);
        Assert.Equal(["round", "drafted", "accepted", "committed", "draftMs", "verifyMs", "bookkeepingMs"],
            trace.Columns.Select(c => c.Name));
        Assert.Equal([2, 3, 0, 1, 1.5f, 4.25f, 0.25f], trace.Rows[1].Select(value => Convert.ToSingle(value, null)));

        var reports = Table.From(Sample.Reports);
        Assert.Equal(Sample.Reports[2].Speedup.Median, reports["speedup"][2]);
        Assert.Equal(Sample.Reports[2].Head, reports["head"][2]);

        var metrics = Table.From(Sample.Metrics(100));
        Assert.Equal((100, 0.25, null),
            (metrics.Rows.Count, metrics["validationAccuracyAtDepth2"][49], metrics["validationAccuracyAtDepth2"][50]));
        Assert.Equal(100, metrics["step"][99]);
    }

    [Fact]
    public void A_report_is_shown_as_tables()
    {
        var report = Sample.Reports[0] with { Head = Sample.Hostile, Speedup = new MedianInterval(1.02, 0.98, 1.05) };
        var html = NotebookTests.Show(report, "text/html");
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
        Assert.Contains("not distinguishable from 1 (95 % CI)", html, StringComparison.Ordinal);
        var rows = Html(html).Descendants("tr").Select(r => r.Elements().Select(e => e.Value).ToArray()).ToArray();
        Assert.Contains(rows, r => r is ["speedup", "1.02", "[0.98, 1.05]"]);
        Assert.Contains(rows, r => r[0] == report.ByCategory[0].Category);
        Assert.Equal(report.ToString(), NotebookTests.Show(report, "text/plain"));
    }

    [Fact]
    public void A_trace_is_shown_as_charts_and_a_table()
    {
        var html = Html(NotebookTests.Show(Sample.Trace, "text/html"));
        Assert.Equal(2, html.Descendants().Count(e => e.Name.LocalName == "img"));
        Assert.Contains(html.Descendants("tr"),
            r => r.Elements().Select(e => e.Value) is var cells && cells.SequenceEqual(["acceptance length", "2.33"]));
        Assert.Equal("<p>no rounds</p>", NotebookTests.Show(new DecodingTrace([]), "text/html"));
    }

    [Fact]
    public void An_answer_is_shown_as_its_text()
    {
        var answer = new Generation([1], [1, 2], Sample.Hostile, FinishReason.Stop, 0.25, 0.1, Sample.Trace.Rounds);
        Assert.DoesNotContain("<script", NotebookTests.Show(answer, "text/html"), StringComparison.Ordinal);
        Assert.Equal($"{Sample.Hostile}\n(2 tokens in 0.25 s, 3 rounds, acceptance length 2.33; finish reason: stop)",
            NotebookTests.Show(answer, "text/plain"));
    }

    private static XElement Html(string html) => XElement.Parse($"<div>{html}</div>");
}
