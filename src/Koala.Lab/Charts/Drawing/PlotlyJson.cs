using System.Text.Json.Nodes;
using Koala.Lab.Runtime;
using Microsoft.FSharp.Collections;
using Plotly.NET;
using Part = DynamicObj.DynamicObj;

namespace Koala.Lab.Charts.Drawing;

/// <summary>A plot as plotly's JSON (data, layout, config), by way of Plotly.NET.</summary>
/// <remarks>
/// Backgrounds are transparent and text is of a grey that reads on light and on dark pages, since a front end that draws the JSON
/// itself does not say which it has; in a page of ours draw.js takes the page's own colour.
/// </remarks>
internal static class PlotlyJson
{
    private const string Clear = "rgba(0,0,0,0)";
    private const string Grid = "rgba(127,127,127,0.25)";

    public static string Of(Plot plot)
    {
        var legend = LegendHeight(plot);
        var top = plot.Horizontal && plot.Rules.Count > 0 ? 60 : 44;
        var inside = plot.Horizontal ? 50 + 34 * Math.Max(1, plot.Keys.Names!.Count) : 250;
        var layout = Set(new Layout(),
            ("title", Title(plot.Title, ("x", 0.01), ("xref", "container"), ("xanchor", "left"), ("y", 1), ("yref", "container"), ("yanchor", "top"), ("pad", New(("t", 10))),
                ("font", Set(new Font(), ("size", 15), ("weight", 600))))),
            ("font", Set(new Font(), ("color", Colours.Muted), ("size", 12))),
            ("paper_bgcolor", Clear), ("plot_bgcolor", Clear),
            ("height", top + inside + 50 + legend),
            ("margin", New(("l", 60), ("r", plot.Rules.Count == 0 || plot.Horizontal ? 20 : 90), ("t", top), ("b", 50 + legend))),
            // Below the axis's title, where it can take as many rows as a narrow page needs.
            ("legend", New(("orientation", "h"), ("x", 0), ("y", -56.0 / inside), ("yanchor", "top"), ("traceorder", "normal"))),
            ("showlegend", plot.Series.Count > 1),
            ("hovermode", plot.Horizontal ? "closest" : "x unified"),
            // What a pointer tells lies over the chart, and is as readable on any page.
            ("hoverlabel", New(("bgcolor", "#333333"), ("font", Set(new Font(), ("color", "#FFFFFF"))))),
            ("modebar", New(("bgcolor", Clear), ("color", Colours.Muted), ("activecolor", Colours.Vermilion))),
            ("barmode", plot.Stacked ? "stack" : "group"), ("bargap", 0.2),
            (plot.Horizontal ? "yaxis" : "xaxis", Keys(plot)), (plot.Horizontal ? "xaxis" : "yaxis", Values(plot)),
            ("shapes", plot.Rules.Select(rule => Line(plot, rule)).ToArray()),
            ("annotations", plot.IsEmpty ? [NoData()] : plot.Rules.Select(rule => Label(plot, rule)).ToArray()));
        var chart = GenericChart.ofTraceObjects(false, ListModule.OfSeq(plot.Series.Select(series => Trace(plot, series))));
        var figure = JsonNode.Parse(GenericChart.toFigureJson(GenericChart.setLayout(layout, chart)))!.AsObject();
        // Plotly.NET writes frames, of which there are none, and no config.
        figure.Remove("frames");
        figure["config"] = new JsonObject
        {
            ["responsive"] = true,
            ["displaylogo"] = false,
            // plotly.js has a button that hands the figure to its makers' server, and shows it unless told not to.
            ["showSendToCloud"] = false,
            ["modeBarButtonsToRemove"] = new JsonArray("select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"),
        };
        return figure.ToJsonString(JsonFormat.Line);
    }

    /// <summary>plotly gives all entries the width of the longest, in rows of about 600 px.</summary>
    private static int LegendHeight(Plot plot)
    {
        if (plot.Series.Count < 2) return 0;
        var inRow = Math.Max(1, (int)(600 / (44 + plot.Series.Max(s => SvgText.WidthOf(s.Name)))));
        return 20 * ((plot.Series.Count + inRow - 1) / inRow) + 4;
    }

    private static Trace Trace(Plot plot, Series series)
    {
        var keys = series.Points.Select(p => plot.Keys.Names is { } names ? Markup(names[(int)p.Key]) : (object)Round(p.Key)!).ToArray();
        var values = series.Points.Select(p => Round(p.Value)).ToArray();
        var trace = Set(new Trace(series.Mark == Mark.Bar ? "bar" : "scatter"), ("name", Markup(series.Name)),
            ("x", plot.Horizontal ? values : keys), ("y", plot.Horizontal ? keys : values),
            ("marker", New(("color", series.Colour), ("size", series.Mark == Mark.Bar ? null : 8))));
        var number = D3Format(plot.Values.Format);
        // Upright, one label tells all series of a key and writes the key itself.
        Set(trace, ("hovertemplate", plot.Horizontal ? $"%{{y}}: %{{x:{number}}}" : $"%{{y:{number}}}"));
        if (plot.Horizontal) Set(trace, ("orientation", series.Mark == Mark.Bar ? "h" : null));
        if (series.Mark != Mark.Bar)
            Set(trace, ("mode", series.Mark switch { Mark.Line => "lines", Mark.Point => "markers", _ => "lines+markers" }),
                ("line", New(("color", series.Colour), ("width", 2), ("dash", series.Dashed ? "dash" : null))));
        if (series.Points.Any(p => p.HasInterval)) SetIntervals(trace, plot, series, number);
        return trace;
    }

    private static void SetIntervals(Trace trace, Plot plot, Series series, string number) => Set(trace,
        ("customdata", series.Points.Select(p => new[] { Round(p.Low), Round(p.High) }).ToArray()),
        ("hovertemplate", $"%{{{(plot.Horizontal ? "x" : "y")}:{number}}} [%{{customdata[0]:{number}}}, %{{customdata[1]:{number}}}]"),
        (plot.Horizontal ? "error_x" : "error_y", New(("type", "data"), ("symmetric", false), ("color", series.Colour), ("thickness", 2), ("width", 6),
            ("array", series.Points.Select(p => Round(p.High - p.Value)).ToArray()), ("arrayminus", series.Points.Select(p => Round(p.Value - p.Low)).ToArray()))));

    private static Part Keys(Plot plot) => Set(new Part(),
        ("title", Title(plot.Keys.Title, ("standoff", plot.Horizontal ? null : 8))), ("gridcolor", Grid), ("zeroline", false), ("automargin", true), ("showgrid", plot.Series.All(s => s.Mark != Mark.Bar)),
        ("type", plot.Keys.Names is null ? "linear" : "category"), ("autorange", plot.Horizontal ? "reversed" : null),
        // Whole numbers where they are few: keys far apart would have a tick at each number between.
        ("dtick", plot.Keys.Names is null && Reach(plot) <= 12 ? 1 : null));

    private static double Reach(Plot plot)
    {
        var keys = plot.Series.SelectMany(s => s.Points).Select(p => p.Key).DefaultIfEmpty().ToArray();
        return keys.Max() - keys.Min();
    }

    private static Part Values(Plot plot)
    {
        var axis = New(("title", Title(plot.Values.Title, ("standoff", plot.Horizontal ? 8 : null))), ("gridcolor", Grid), ("zeroline", false), ("automargin", true));
        if (plot.Values.High is { } high) return Set(axis, ("range", new[] { 0, high * 1.02 }));
        return Set(axis, ("rangemode", plot.Values.FromZero ? "tozero" : "normal"));
    }

    private static Part Line(Plot plot, Rule rule) => New(("type", "line"), ("layer", "above"),
        ("xref", plot.Horizontal ? "x" : "paper"), ("yref", plot.Horizontal ? "paper" : "y"),
        ("x0", plot.Horizontal ? rule.Value : 0), ("x1", plot.Horizontal ? rule.Value : 1), ("y0", plot.Horizontal ? 0 : rule.Value), ("y1", plot.Horizontal ? 1 : rule.Value),
        ("line", New(("color", Colours.Muted), ("width", 1.5), ("dash", "dash"))));

    private static Part Label(Plot plot, Rule rule) => New(("text", Markup(rule.Label)), ("showarrow", false),
        ("xref", plot.Horizontal ? "x" : "paper"), ("yref", plot.Horizontal ? "paper" : "y"), ("x", plot.Horizontal ? rule.Value : 1), ("y", plot.Horizontal ? 1 : rule.Value),
        ("xanchor", plot.Horizontal ? "center" : "left"), ("yanchor", plot.Horizontal ? "bottom" : "middle"));

    private static Part NoData() => New(("text", Plot.NoData), ("showarrow", false),
        ("xref", "paper"), ("yref", "paper"), ("x", 0.5), ("y", 0.5));

    private static Part Title(string text, params (string, object?)[] more) => Set(New(("text", Markup(text))), more);

    /// <summary>plotly reads a small HTML in texts.</summary>
    private static string Markup(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal);

    private static string D3Format(string format) => format[0] == 'F' ? $".{format[1..]}f" : ".4~g";

    /// <summary>Six digits, which is more than is seen. JSON has no NaN.</summary>
    private static double? Round(double value) =>
        !double.IsFinite(value) ? null : value == 0 ? 0 : Math.Round(value, Math.Clamp(5 - (int)Math.Floor(Math.Log10(Math.Abs(value))), 0, 15));

    private static Part New(params (string, object?)[] properties) => Set(new Part(), properties);

    private static T Set<T>(T to, params (string Name, object? Value)[] properties)
        where T : Part
    {
        foreach (var (name, value) in properties)
            if (value is not null) to.SetProperty(name, value);
        return to;
    }
}
