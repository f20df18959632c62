using System.Text;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Charts.Tables;
using Koala.Lab.Runtime;

namespace Koala.Lab.Charts;

/// <summary>A chart. A notebook shows it as plotly's JSON, as HTML or as text; each form is made when it is first used.</summary>
[TypeFormatterSource(PlotlyMimeType, "text/html", "text/plain")]
public sealed class Figure
{
    /// <summary>The mime type of <see cref="Json"/>.</summary>
    public const string PlotlyMimeType = "application/vnd.plotly.v1+json";

    private readonly Lazy<string> _json;
    private readonly Lazy<string> _svg;
    private readonly Func<TextTable> _table;

    internal Figure(Plot plot)
        : this(plot.Title, () => PlotlyJson.Create(plot), () => SvgPicture.Draw(plot), () => PlotTable.Create(plot))
    {
    }

    internal Figure(DrawnTree tree)
        : this(tree.Title, () => TreePlotlyJson.Create(tree), () => TreeSvg.Draw(tree), () => TreeTable.Create(tree))
    {
    }

    private Figure(string title, Func<string> json, Func<string> svg, Func<TextTable> table)
    {
        Title = title;
        _json = new(json);
        _svg = new(svg);
        _table = table;
    }

    /// <summary>The title of the chart.</summary>
    public string Title { get; }

    /// <summary>The figure for plotly.js: an object with data, layout and config.</summary>
    public string Json => _json.Value;

    /// <summary>A static picture of a few kilobytes for use inside HTML, where its text has the colour of the page's text.</summary>
    public string Svg => _svg.Value;

    /// <summary>
    /// The picture and the JSON, which a page with <see cref="PlotlyScript"/> draws in place of the picture. Nothing in this HTML runs by
    /// itself.
    /// </summary>
    public string Html => HtmlOf(Json, Picture);

    // Front ends that do not trust a notebook remove an <svg> and leave its labels behind as a run of words; an <img> they keep. An image
    // does not see the colour of the page, so its text has the grey that is readable on light and on dark pages.
    private string Picture
    {
        get
        {
            var svg = Svg.Replace("<svg ", $"<svg color=\"{Colours.Muted}\" ", StringComparison.Ordinal);
            var source = $"data:image/svg+xml;base64,{Convert.ToBase64String(Encoding.UTF8.GetBytes(svg))}";
            return $"<img alt=\"{Charts.Html.Escape(Title)}\" style=\"max-width:100%;height:auto\" src=\"{source}\"/>";
        }
    }

    /// <summary>The numbers as a table.</summary>
    public override string ToString() => _table().ToString();

    /// <summary>Wraps any figure for plotly.js in HTML of this form, with a picture that is shown until the figure is drawn.</summary>
    /// <param name="json">An object with data and layout.</param>
    /// <param name="picture">The HTML of the picture, which may be empty.</param>
    public static string HtmlOf(string json, string picture) =>
        $"<div class=\"koala-figure\" style=\"max-width:720px\">{picture}<script type=\"application/json\">{Inline(json)}</script></div>";

    /// <summary>Escapes JSON so that an HTML parser cannot take a part of it for the end of its element.</summary>
    private static string Inline(string json) => json
        .Replace("<", "\\u003c", StringComparison.Ordinal)
        .Replace(">", "\\u003e", StringComparison.Ordinal)
        .Replace("&", "\\u0026", StringComparison.Ordinal);
}
