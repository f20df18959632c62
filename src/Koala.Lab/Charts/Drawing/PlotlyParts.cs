using System.Text.Json.Nodes;
using Koala.Lab.Runtime.Files;
using Microsoft.FSharp.Collections;
using Plotly.NET;
using Part = DynamicObj.DynamicObj;

namespace Koala.Lab.Charts.Drawing;

/// <summary>The parts that all figures for plotly have in common.</summary>
/// <remarks>
/// Backgrounds are transparent, and text has a grey that is readable on light and on dark pages, because a front end that draws the JSON
/// itself does not tell which of them it has. In Koala's own pages draw.js uses the page's colour.
/// </remarks>
internal static class PlotlyParts
{
    public const string Clear = "rgba(0,0,0,0)";
    public const string Grid = "rgba(127,127,127,0.25)";

    /// <param name="title">The title of the figure.</param>
    /// <param name="height">The height in pixels.</param>
    /// <param name="margin">The margins around the axes.</param>
    /// <param name="legendBelow">The distance of the legend below the axes, as a multiple of their height.</param>
    /// <param name="more">The properties that only this figure has.</param>
    public static Layout Layout(string title, int height, Part margin, double legendBelow, params (string, object?)[] more)
    {
        var titlePart = Title(title, ("x", 0.01), ("xref", "container"), ("xanchor", "left"), ("y", 1), ("yref", "container"),
            ("yanchor", "top"), ("pad", New(("t", 10))), ("font", Set(new Font(), ("size", 15), ("weight", 600))));
        var layout = Set(new Layout(),
            ("title", titlePart),
            ("font", Set(new Font(), ("color", Colours.Muted), ("size", 12))),
            ("paper_bgcolor", Clear), ("plot_bgcolor", Clear),
            ("height", height), ("margin", margin),
            ("legend", New(("orientation", "h"), ("x", 0), ("y", -legendBelow), ("yanchor", "top"), ("traceorder", "normal"))),
            // The hover label has its own background, so it is readable on any page.
            ("hoverlabel", New(("bgcolor", "#333333"), ("font", Set(new Font(), ("color", "#FFFFFF"))))),
            ("modebar", New(("bgcolor", Clear), ("color", Colours.Muted), ("activecolor", Colours.Vermilion))));
        return Set(layout, more);
    }

    /// <summary>The whole figure: data, layout, config.</summary>
    public static string Figure(Layout layout, IEnumerable<Trace> traces)
    {
        var chart = GenericChart.ofTraceObjects(false, ListModule.OfSeq(traces));
        var figure = JsonNode.Parse(GenericChart.toFigureJson(GenericChart.setLayout(layout, chart)))!.AsObject();
        // Plotly.NET writes an empty list of frames and no config.
        figure.Remove("frames");
        figure["config"] = new JsonObject
        {
            ["responsive"] = true,
            ["displaylogo"] = false,
            // plotly.js shows a button that sends the figure to the server of its makers, unless it is switched off.
            ["showSendToCloud"] = false,
            ["modeBarButtonsToRemove"] = new JsonArray("select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"),
        };
        return figure.ToJsonString(JsonFormat.Line);
    }

    public static Part Title(string text, params (string, object?)[] more) => Set(New(("text", Markup(text))), more);

    /// <summary>Escapes a text, because plotly interprets some HTML in texts.</summary>
    public static string Markup(string text) => text
        .Replace("&", "&amp;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal)
        .Replace(">", "&gt;", StringComparison.Ordinal);

    public static Part New(params (string, object?)[] properties) => Set(new Part(), properties);

    public static T Set<T>(T part, params (string Name, object? Value)[] properties)
        where T : Part
    {
        foreach (var (name, value) in properties)
            if (value is not null) part.SetProperty(name, value);
        return part;
    }
}
