using System.Text;
using System.Text.Json;
using System.Xml.Linq;
using Koala.Lab.Charts;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Charts;

/// <summary>What every figure must fulfil, and what each one shows.</summary>
public sealed class FigureTests
{
    [Theory, MemberData(nameof(Sample.Names), MemberType = typeof(Sample))]
    public void Every_figure_is_well_formed_in_all_its_forms(string name)
    {
        var figure = Sample.All[name]();
        var svg = XDocument.Parse(figure.Svg).Root!;
        Assert.Equal("svg", svg.Name.LocalName);
        Assert.Equal(figure.Title, svg.Attribute("aria-label")!.Value);
        Assert.DoesNotContain("NaN", figure.Svg, StringComparison.Ordinal);
        Assert.DoesNotContain("Infinity", figure.Svg, StringComparison.Ordinal);

        // The HTML is valid XML: all elements are closed, everything is escaped, and the script element holds the same
        // JSON.
        var html = XDocument.Parse(figure.Html).Root!;
        var inside = html.Element("script")!;
        Assert.Equal("application/json", inside.Attribute("type")!.Value);
        Assert.DoesNotContain('<', inside.Value);
        Assert.True(JsonElement.DeepEquals(Parse(inside.Value), Parse(figure.Json)));
        Assert.Single(html.Descendants(), e => e.Name.LocalName == "script");

        // The picture is an image, which front ends keep in a notebook that they do not trust, with the same shapes as the SVG.
        Assert.DoesNotContain(html.Descendants(), e => e.Name.LocalName == "svg");
        var picture = html.Element("img")!;
        Assert.Equal(figure.Title, picture.Attribute("alt")!.Value);
        const string Start = "data:image/svg+xml;base64,";
        var source = picture.Attribute("src")!.Value;
        Assert.StartsWith(Start, source, StringComparison.Ordinal);
        var drawn = XDocument.Parse(Encoding.UTF8.GetString(Convert.FromBase64String(source[Start.Length..]))).Root!;
        Assert.Equal("#7C7C7C", drawn.Attribute("color")!.Value);
        drawn.Attribute("color")!.Remove();
        Assert.True(XNode.DeepEquals(svg, drawn));

        var json = Parse(figure.Json);
        Assert.Equal(["data", "layout", "config"], json.EnumerateObject().Select(p => p.Name));
        Assert.Equal(figure.Title, json.GetProperty("layout").GetProperty("title").GetProperty("text").GetString());
        JsonElement Axis(string axis) => json.GetProperty("layout").GetProperty(axis);
        // Names beside bars need no title, which would have no room.
        var isHorizontal = Axis("yaxis").TryGetProperty("autorange", out var order) && order.GetString() == "reversed";
        foreach (var axis in (JsonElement[])[Axis("xaxis"), .. isHorizontal ? [] : (JsonElement[])[Axis("yaxis")]])
            if (!axis.TryGetProperty("visible", out var visible) || visible.GetBoolean())
                Assert.NotEqual("", axis.GetProperty("title").GetProperty("text").GetString());

        Assert.StartsWith(figure.Title, figure.ToString(), StringComparison.Ordinal);
        Assert.InRange(figure.Json.Length + figure.Svg.Length, 1000, 60_000);
    }

    [Fact]
    public void Nothing_is_fetched_or_sent_and_no_plotly_is_in_an_output()
    {
        foreach (var figure in Sample.All.Values.Select(make => make()))
        {
            Assert.False(Parse(figure.Json).GetProperty("config").GetProperty("showSendToCloud").GetBoolean());
            Assert.DoesNotContain("http",
                figure.Html.Replace("http://www.w3.org/2000/svg", "", StringComparison.Ordinal),
                StringComparison.Ordinal);
            Assert.DoesNotContain("<script>", figure.Html, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Position_acceptance_has_one_bar_per_depth_from_0_to_1()
    {
        var figure = Chart.PositionAcceptance(Sample.Trace);
        Assert.Equal([2 / 3.0, 1, 0], Values(figure, 0, "y"), Close);
        Assert.Equal("accepted, share of rounds", AxisTitle(figure, "yaxis"));
        Assert.Equal("depth in the draft", AxisTitle(figure, "xaxis"));
        Assert.Contains("0.67", figure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Acceptance_length_stacks_accepted_and_bonus_and_marks_the_mean()
    {
        var figure = Chart.AcceptanceLength(Sample.Trace);
        Assert.Equal([2, 0, 2], Values(figure, 0, "y"));
        Assert.Equal([1, 1, 1], Values(figure, 1, "y"));
        Assert.Equal([1, 2, 3], Values(figure, 0, "x"));
        var layout = Parse(figure.Json).GetProperty("layout");
        Assert.Equal("stack", layout.GetProperty("barmode").GetString());
        Assert.Equal(7 / 3.0, layout.GetProperty("shapes")[0].GetProperty("y0").GetDouble(), 5);
        Assert.Contains("mean 2.33", figure.Svg, StringComparison.Ordinal);
        Assert.Contains("mean 2.33", figure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Many_rounds_become_means_that_keep_the_mean()
    {
        var figure = Chart.AcceptanceLength(Sample.LongTrace);
        var accepted = Values(figure, 0, "y");
        Assert.Equal(75, accepted.Length);
        Assert.Equal(2, accepted.Average(), 6);
        Assert.Equal(21, Values(figure, 0, "x")[1]);
        Assert.Contains("mean of 20", AxisTitle(figure, "xaxis"), StringComparison.Ordinal);
    }

    [Fact]
    public void Round_times_are_milliseconds_of_draft_verify_and_bookkeeping()
    {
        var figure = Chart.RoundTimes(Sample.Trace);
        Assert.Equal([1, 1.5, 0.75], Values(figure, 0, "y"));
        Assert.Equal([4, 4.25, 5], Values(figure, 1, "y"));
        Assert.Equal([0.5, 0.25, 0.125], Values(figure, 2, "y"));
        Assert.Equal("milliseconds", AxisTitle(figure, "yaxis"));
        Assert.Equal(["draft", "verify", "bookkeeping"], Names(figure));
        Assert.Equal(Sample.Reports.Select(r => r.Round.VerifyMs), Values(Chart.RoundTimes(Sample.Reports), 1, "x"), Close);
    }

    [Fact]
    public void Speedups_stand_below_each_other_with_their_intervals()
    {
        var figure = Chart.Speedup(Sample.Reports);
        Assert.Equal(Sample.Reports.Select(r => r.Speedup.Median), Values(figure, 0, "x"), Close);
        var error = Parse(figure.Json).GetProperty("data")[0].GetProperty("error_x");
        Assert.Equal(Sample.Reports.Select(r => r.Speedup.High - r.Speedup.Median),
            error.GetProperty("array").EnumerateArray().Select(x => x.GetDouble()), Close);
        Assert.Equal(Sample.Reports.Select(r => r.Speedup.Median - r.Speedup.Low),
            error.GetProperty("arrayminus").EnumerateArray().Select(x => x.GetDouble()), Close);
        Assert.Contains("95% interval", AxisTitle(figure, "xaxis"), StringComparison.Ordinal);
        Assert.Contains(string.Create(null,
            $"{Sample.Reports[0].Speedup.Median:F2} [{Sample.Reports[0].Speedup.Low:F2}, " +
            $"{Sample.Reports[0].Speedup.High:F2}]"),
            figure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Throughput_has_one_line_per_series_and_one_for_the_baseline()
    {
        var figure = Chart.ThroughputByLayers(Sample.LayerSweep);
        Assert.Equal(["baseline", "without the adversary", "with the adversary"], Names(figure));
        Assert.Equal([1, 2], Values(figure, 1, "x"));
        Assert.Equal([Sample.Reports[0].Speculative.TokensPerSecond, Sample.Reports[2].Speculative.TokensPerSecond],
            Values(figure, 1, "y"), Close);
        Assert.Equal("tokens/s", AxisTitle(figure, "yaxis"));
    }

    [Fact]
    public void A_step_without_a_loss_is_not_drawn()
    {
        var lines = Sample.Metrics(4).Select((line, i) => i % 2 == 0 ? line : line with { Loss = double.NaN });
        var drawn = JsonDocument.Parse(Chart.TrainingLosses([.. lines]).Json).RootElement.GetProperty("data")[0];
        Assert.Equal(2, drawn.GetProperty("y").GetArrayLength());
    }

    [Fact]
    public void Losses_are_those_of_the_steps_in_nats()
    {
        var figure = Chart.TrainingLosses(Sample.Metrics(4));
        Assert.Equal(["minimised", "depth 1", "depth 2", "adversarial", "discriminator"], Names(figure));
        Assert.Equal([1, 2, 3, 4], Values(figure, 1, "x"));
        Assert.Equal([8, 4, 8 / 3.0, 2], Values(figure, 1, "y"), Close);
        Assert.Equal("loss, nats", AxisTitle(figure, "yaxis"));
        Assert.Equal("step", AxisTitle(figure, "xaxis"));
    }

    [Fact]
    public void Few_steps_far_apart_have_no_tick_at_every_number_between()
    {
        StepMetrics[] far = [.. Enumerable.Range(1, 6)
            .Select(i => new StepMetrics { Step = 50 * i, ValidationAccuracy = [0.1 * i] })];
        Assert.False(Parse(Chart.TrainingAccuracy(far).Json)
            .GetProperty("layout")
            .GetProperty("xaxis")
            .TryGetProperty("dtick", out _));
        StepMetrics[] near = [.. Enumerable.Range(1, 6)
            .Select(i => new StepMetrics { Step = i, ValidationAccuracy = [0.1 * i] })];
        Assert.Equal(1,
            Parse(Chart.TrainingAccuracy(near).Json)
                .GetProperty("layout")
                .GetProperty("xaxis")
                .GetProperty("dtick")
                .GetInt32());
    }

    [Fact]
    public void Accuracy_shows_the_steps_that_validated()
    {
        var figure = Chart.TrainingAccuracy(Sample.Metrics(100));
        Assert.Equal([50, 100], Values(figure, 0, "x"));
        Assert.Equal([0.5, 0.5], Values(figure, 0, "y"));
        Assert.Equal(100, Values(figure, 2, "x").Length);
    }

    [Fact]
    public void A_run_is_read_from_its_metrics()
    {
        using var run = new Training.TinyRun();
        run.Start();
        var figure = Chart.TrainingLosses(run.Folder);
        Assert.Equal(Enumerable.Range(1, 12).Select(i => (double)i), Values(figure, 0, "x"));
        Assert.NotEmpty(Values(Chart.TrainingAccuracy(run.Folder), 0, "y"));
    }

    [Fact]
    public void Reports_of_one_head_are_distinguished_by_what_differs()
    {
        var report = Sample.Reports[0];
        var figure = Chart.Speedup(report, report with { Dtype = "bf16" }, report with { Dtype = "bf16" });
        var names = Parse(figure.Json).GetProperty("data")[0].GetProperty("y").EnumerateArray().Select(x => x.GetString());
        Assert.Equal([$"{report.Head}, fp32", $"{report.Head}, bf16 #1", $"{report.Head}, bf16 #2"], names);
    }

    [Fact]
    public void Names_from_strangers_stay_text_for_plotly_too()
    {
        foreach (var name in new[] { "hostile", "hostile series" })
            Assert.DoesNotContain("<script",
                JsonDocument.Parse(Sample.All[name]().Json).RootElement.GetProperty("data").EnumerateArray()
                .SelectMany(trace => trace.GetProperty("y").EnumerateArray().Append(trace.GetProperty("name")))
                .Select(x => x.ToString())
                .Aggregate(string.Concat),
                StringComparison.Ordinal);
    }

    private static bool Close(double a, double b) => Math.Abs(a - b) <= 1e-5 * Math.Max(1, Math.Abs(b));

    private static JsonElement Parse(string json) => JsonDocument.Parse(json).RootElement;

    private static double[] Values(Figure figure, int trace, string axis) =>
        [.. Parse(figure.Json).GetProperty("data")[trace].GetProperty(axis).EnumerateArray().Select(x => x.GetDouble())];

    private static IEnumerable<string?> Names(Figure figure) =>
        Parse(figure.Json).GetProperty("data").EnumerateArray().Select(t => t.GetProperty("name").GetString());

    private static string? AxisTitle(Figure figure, string axis) =>
        Parse(figure.Json).GetProperty("layout").GetProperty(axis).GetProperty("title").GetProperty("text").GetString();
}
