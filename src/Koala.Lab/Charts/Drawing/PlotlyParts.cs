using System.Text.Json.Nodes;
using Koala.Lab.Runtime.Files;
using Microsoft.FSharp.Collections;
using Plotly.NET;
using Part = DynamicObj.DynamicObj;

namespace Koala.Lab.Charts.Drawing;

/// <summary>What all figures for plotly have in common.</summary>
/// <remarks>
/// Backgrounds are transparent and text is of a grey that reads on light and on dark pages, since a front end that draws the JSON
/// itself does not say which it has; in a page of ours draw.js takes the page's own colour.
/// </remarks>
internal static class PlotlyParts
{
    public const string Clear = "rgba(0,0,0,0)";
    public const string Grid = "rgba(127,127,127,0.25)";

    /// <param name="title">Of the figure.</param>
    /// <param name="height">Pixels.</param>
    /// <param name="margin">Around the axes.</param>
    /// <param name="legendBelow">How far below the axes the legend begins, in heights of them.</param>
    /// <param name="more">What is this figure's own.</param>
    public static Layout Layout(string title, int height, Part margin, double legendBelow, params (string, object?)[] more) => Set(Set(new Layout(),
        ("title", Title(title, ("x", 0.01), ("xref", "container"), ("xanchor", "left"), ("y", 1), ("yref", "container"), ("yanchor", "top"), ("pad", New(("t", 10))),
            ("font", Set(new Font(), ("size", 15), ("weight", 600))))),
        ("font", Set(new Font(), ("color", Colours.Muted), ("size", 12))),
        ("paper_bgcolor", Clear), ("plot_bgcolor", Clear),
        ("height", height), ("margin", margin),
        ("legend", New(("orientation", "h"), ("x", 0), ("y", -legendBelow), ("yanchor", "top"), ("traceorder", "normal"))),
        // What a pointer tells lies over the chart, and is as readable on any page.
        ("hoverlabel", New(("bgcolor", "#333333"), ("font", Set(new Font(), ("color", "#FFFFFF"))))),
        ("modebar", New(("bgcolor", Clear), ("color", Colours.Muted), ("activecolor", Colours.Vermilion)))), more);

    /// <summary>The whole figure: data, layout, config.</summary>
    public static string Figure(Layout layout, IEnumerable<Trace> traces)
    {
        var chart = GenericChart.ofTraceObjects(false, ListModule.OfSeq(traces));
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

    public static Part Title(string text, params (string, object?)[] more) => Set(New(("text", Markup(text))), more);

    /// <summary>plotly reads a small HTML in texts.</summary>
    public static string Markup(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal);

    public static Part New(params (string, object?)[] properties) => Set(new Part(), properties);

    public static T Set<T>(T to, params (string Name, object? Value)[] properties)
        where T : Part
    {
        foreach (var (name, value) in properties)
            if (value is not null) to.SetProperty(name, value);
        return to;
    }
}
