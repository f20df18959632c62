using System.Text.Json.Nodes;
using static Koala.Lab.Charts.Drawing.PlotlyParts;

namespace Koala.Lab.Charts.Drawing;

/// <summary>Writes a plot as plotly's JSON (data, layout, config).</summary>
internal static class PlotlyJson
{
    public static string Create(Plot plot)
    {
        var legend = LegendHeight(plot);
        var top = plot.Horizontal && plot.Rules.Count > 0 ? 60 : 44;
        var inside = plot.Horizontal ? 50 + 34 * Math.Max(1, plot.Keys.Names!.Count) : 250;
        var right = plot.Rules.Count == 0 || plot.Horizontal ? 20 : 90;
        var margin = New(("l", 60), ("r", right), ("t", top), ("b", 50 + legend));
        var layout = Layout(plot.Title, top + inside + 50 + legend, margin,
            // The legend is below the axis's title, where it can have as many rows as a narrow page needs.
            legendBelow: 56.0 / inside,
            ("showlegend", plot.Series.Count > 1),
            ("hovermode", plot.Horizontal ? "closest" : "x unified"),
            ("barmode", plot.Stacked ? "stack" : "group"), ("bargap", 0.2),
            (plot.Horizontal ? "yaxis" : "xaxis", Keys(plot)), (plot.Horizontal ? "xaxis" : "yaxis", Values(plot)),
            ("shapes", plot.Rules.Select(rule => Line(plot, rule)).ToArray()),
            ("annotations", plot.Missing is { } missing ? [NoData(missing)] : plot.Rules.Select(rule => Label(plot, rule)).ToArray()));
        return Figure(layout, plot.Series.Select(series => Trace(plot, series)));
    }

    /// <summary>The height of the legend. plotly gives all entries the width of the longest, in rows of about 600 px.</summary>
    private static int LegendHeight(Plot plot)
    {
        if (plot.Series.Count < 2) return 0;
        var inRow = Math.Max(1, (int)(600 / (44 + plot.Series.Max(s => SvgText.WidthOf(s.Name)))));
        return 20 * ((plot.Series.Count + inRow - 1) / inRow) + 4;
    }

    private static JsonObject Trace(Plot plot, Series series)
    {
        object Key(Point point) => plot.Keys.Names is { } names ? Markup(names[(int)point.Key]) : Round(point.Key)!;
        var keys = series.Points.Select(Key).ToArray();
        var values = series.Points.Select(p => Round(p.Value)).ToArray();
        var trace = PlotlyParts.Trace(series.Mark == Mark.Bar ? "bar" : "scatter", ("name", Markup(series.Name)),
            ("x", plot.Horizontal ? values : keys), ("y", plot.Horizontal ? keys : values),
            ("marker", New(("color", series.Colour), ("size", series.Mark == Mark.Bar ? null : 8))));
        var number = D3Format(plot.Values.Format);
        // In an upright plot one label shows all series of a key and the key itself.
        Set(trace, ("hovertemplate", plot.Horizontal ? $"%{{y}}: %{{x:{number}}}" : $"%{{y:{number}}}"));
        if (plot.Horizontal) Set(trace, ("orientation", series.Mark == Mark.Bar ? "h" : null));
        if (series.Mark != Mark.Bar)
        {
            var mode = series.Mark switch { Mark.Line => "lines", Mark.Point => "markers", _ => "lines+markers" };
            var line = New(("color", series.Colour), ("width", 2), ("dash", series.Dashed ? "dash" : null));
            Set(trace, ("mode", mode), ("line", line));
        }
        if (series.Points.Any(p => p.HasInterval)) SetIntervals(trace, plot, series, number);
        return trace;
    }

    private static void SetIntervals(JsonObject trace, Plot plot, Series series, string number)
    {
        var above = series.Points.Select(p => Round(p.High - p.Value)).ToArray();
        var below = series.Points.Select(p => Round(p.Value - p.Low)).ToArray();
        var bars = New(("type", "data"), ("symmetric", false), ("color", series.Colour), ("thickness", 2), ("width", 6),
            ("array", above), ("arrayminus", below));
        var value = plot.Horizontal ? "x" : "y";
        Set(trace,
            ("customdata", series.Points.Select(p => new[] { Round(p.Low), Round(p.High) }).ToArray()),
            ("hovertemplate", $"%{{{value}:{number}}} [%{{customdata[0]:{number}}}, %{{customdata[1]:{number}}}]"),
            (plot.Horizontal ? "error_x" : "error_y", bars));
    }

    private static JsonObject Keys(Plot plot) => New(
        // Names beside the bars need no title, which would have no room beside them.
        ("title", plot.Horizontal ? null : Title(plot.Keys.Title, ("standoff", 8))),
        // The label that shows all series says what its number counts.
        ("unifiedhovertitle", plot.Horizontal ? null : New(("text", $"{Markup(plot.Keys.Title.Split(" (")[0])} %{{x}}"))),
        ("gridcolor", Grid),
        ("zeroline", false),
        ("automargin", true),
        ("showgrid", plot.Series.All(s => s.Mark != Mark.Bar)),
        ("type", plot.Keys.Names is null ? "linear" : "category"),
        ("autorange", plot.Horizontal ? "reversed" : null),
        // There is a tick at each whole number if the keys are close together; keys far apart would have too many ticks.
        ("dtick", plot.Keys.Names is null && RangeOfKeys(plot) <= 12 ? 1 : null));

    private static double RangeOfKeys(Plot plot)
    {
        var keys = plot.Series.SelectMany(s => s.Points).Select(p => p.Key).DefaultIfEmpty().ToArray();
        return keys.Max() - keys.Min();
    }

    private static JsonObject Values(Plot plot)
    {
        var title = Title(plot.Values.Title, ("standoff", plot.Horizontal ? 8 : null));
        var axis = New(("title", title), ("gridcolor", Grid), ("zeroline", false), ("automargin", true));
        if (plot.Values.High is { } high) return Set(axis, ("range", new[] { 0, high * 1.02 }));
        return Set(axis, ("rangemode", plot.Values.FromZero ? "tozero" : "normal"));
    }

    private static JsonObject Line(Plot plot, Rule rule) => New(("type", "line"), ("layer", "above"),
        ("xref", plot.Horizontal ? "x" : "paper"), ("yref", plot.Horizontal ? "paper" : "y"),
        ("x0", plot.Horizontal ? rule.Value : 0), ("x1", plot.Horizontal ? rule.Value : 1),
        ("y0", plot.Horizontal ? 0 : rule.Value), ("y1", plot.Horizontal ? 1 : rule.Value),
        ("line", New(("color", Colours.Muted), ("width", 1.5), ("dash", "dash"))));

    private static JsonObject Label(Plot plot, Rule rule) => New(("text", Markup(rule.Label)), ("showarrow", false),
        ("xref", plot.Horizontal ? "x" : "paper"), ("yref", plot.Horizontal ? "paper" : "y"),
        ("x", plot.Horizontal ? rule.Value : 1), ("y", plot.Horizontal ? 1 : rule.Value),
        ("xanchor", plot.Horizontal ? "center" : "left"), ("yanchor", plot.Horizontal ? "bottom" : "middle"));

    private static JsonObject NoData(string text) => New(("text", text), ("showarrow", false),
        ("xref", "paper"), ("yref", "paper"), ("x", 0.5), ("y", 0.5));

    private static string D3Format(string format) => format[0] == 'F' ? $".{format[1..]}f" : ".4~g";

    /// <summary>
    /// Rounds to six digits, which is more than can be seen. A value that is not finite becomes null, because JSON has no NaN.
    /// </summary>
    private static double? Round(double value)
    {
        if (!double.IsFinite(value)) return null;
        if (value == 0) return 0;
        var magnitude = (int)Math.Floor(Math.Log10(Math.Abs(value)));
        return Math.Round(value, Math.Clamp(5 - magnitude, 0, 15));
    }
}
