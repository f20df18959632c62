using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Runtime.Files;

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
    public static JsonObject Layout(string title, int height, JsonObject margin, double legendBelow, params (string, object?)[] more)
    {
        var titlePart = Title(title, ("x", 0.01), ("xref", "container"), ("xanchor", "left"), ("y", 1), ("yref", "container"),
            ("yanchor", "top"), ("pad", New(("t", 10))), ("font", New(("size", 15), ("weight", 600))));
        var layout = New(
            ("title", titlePart),
            ("font", New(("family", "system-ui, sans-serif"), ("color", Colours.Muted), ("size", 13))),
            ("paper_bgcolor", Clear), ("plot_bgcolor", Clear),
            ("height", height), ("margin", margin),
            ("legend", New(("orientation", "h"), ("x", 0), ("y", -legendBelow), ("yanchor", "top"), ("traceorder", "normal"))),
            // The hover label has its own background, so it is readable on any page.
            ("hoverlabel", New(("bgcolor", "#333333"), ("font", New(("color", "#FFFFFF"))))),
            ("modebar", New(("bgcolor", Clear), ("color", Colours.Muted), ("activecolor", Colours.Vermilion))));
        return Set(layout, more);
    }

    /// <summary>The whole figure: data, layout, config.</summary>
    public static string Figure(JsonObject layout, IEnumerable<JsonObject> traces)
    {
        var config = new JsonObject
        {
            ["responsive"] = true,
            ["displaylogo"] = false,
            // plotly.js shows a button that sends the figure to the server of its makers, unless it is switched off.
            ["showSendToCloud"] = false,
            ["modeBarButtonsToRemove"] = new JsonArray("select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"),
        };
        return New(("data", traces.ToArray()), ("layout", layout), ("config", config)).ToJsonString(JsonFormat.Line);
    }

    /// <param name="type">The name of the trace's type in plotly.</param>
    /// <param name="properties">Its properties.</param>
    public static JsonObject Trace(string type, params (string, object?)[] properties) => Set(New(("type", type)), properties);

    public static JsonObject Title(string text, params (string, object?)[] more) => Set(New(("text", Markup(text))), more);

    /// <summary>Escapes a text, because plotly interprets some HTML in texts.</summary>
    public static string Markup(string text) => text
        .Replace("&", "&amp;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal)
        .Replace(">", "&gt;", StringComparison.Ordinal);

    public static JsonObject New(params (string, object?)[] properties) => Set([], properties);

    /// <summary>Sets properties; those whose value is null are left out.</summary>
    public static JsonObject Set(JsonObject part, params (string Name, object? Value)[] properties)
    {
        foreach (var (name, value) in properties)
        {
            if (value is not null)
                part[name] = value as JsonNode ?? JsonSerializer.SerializeToNode(value, value.GetType(), JsonFormat.Line);
        }
        return part;
    }
}
