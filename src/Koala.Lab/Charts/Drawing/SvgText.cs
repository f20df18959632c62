using System.Globalization;
using System.Text;

namespace Koala.Lab.Charts.Drawing;

/// <summary>Writes the shapes and texts of an SVG. It escapes all text and rounds coordinates to a tenth.</summary>
internal sealed class SvgText
{
    private readonly StringBuilder _svg = new();

    /// <summary>The approximate width of a text of 12 px in the usual sans-serif fonts; it is rather too large than too small.</summary>
    public static double WidthOf(string text) => text.Sum(WidthOf);

    public void Text(double x, double y, string text, string anchor = "start", string more = "")
    {
        _svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{x:0.#}\" y=\"{y:0.#}\"");
        if (anchor != "start") _svg.Append(CultureInfo.InvariantCulture, $" text-anchor=\"{anchor}\"");
        _svg.Append(CultureInfo.InvariantCulture, $"{more}>{Html.Escape(text)}</text>");
    }

    public void Line(double x1, double y1, double x2, double y2, string style) =>
        _svg.Append(CultureInfo.InvariantCulture, $"<path d=\"M{x1:0.#} {y1:0.#}L{x2:0.#} {y2:0.#}\" {style}/>");

    public void Rectangle(double x, double y, double width, double height, string colour)
    {
        _svg.Append(CultureInfo.InvariantCulture, $"<rect x=\"{x:0.#}\" y=\"{y:0.#}\" ");
        _svg.Append(CultureInfo.InvariantCulture, $"width=\"{width:0.#}\" height=\"{height:0.#}\" fill=\"{colour}\"/>");
    }

    /// <param name="x">The x coordinate of the centre.</param>
    /// <param name="y">The y coordinate of the centre.</param>
    /// <param name="colour">The colour of the dot.</param>
    /// <param name="hollow">Whether the dot is a ring.</param>
    /// <param name="title">The text that is shown when the pointer is over the dot; null means no text.</param>
    public void Dot(double x, double y, string colour, bool hollow = false, string? title = null)
    {
        _svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{x:0.#}\" cy=\"{y:0.#}\" ");
        _svg.Append(hollow
            ? $"r=\"3.5\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" pointer-events=\"all\""
            : $"r=\"4\" fill=\"{colour}\"");
        _svg.Append(title is null ? "/>" : $"><title>{Html.Escape(title)}</title></circle>");
    }

    /// <summary>Writes one path of many strokes, so that a picture of a hundred bars stays small.</summary>
    public void Path(string d, string style) => _svg.Append(CultureInfo.InvariantCulture, $"<path d=\"{d}\" {style}/>");

    /// <summary>The complete picture; its text has the colour of the page's text.</summary>
    public string Finish(double width, double height, string label)
    {
        var size = string.Create(CultureInfo.InvariantCulture, $"viewBox=\"0 0 {width:0.#} {height:0.#}\" width=\"{width:0.#}\"");
        var style = $"style=\"max-width:100%;height:auto\" role=\"img\" aria-label=\"{Html.Escape(label)}\"";
        const string Font = "font-family=\"system-ui,sans-serif\" font-size=\"12\" fill=\"currentColor\"";
        return $"<svg xmlns=\"http://www.w3.org/2000/svg\" {size} {style} {Font}>{_svg}</svg>";
    }

    private static double WidthOf(char character) => character switch
    {
        'i' or 'l' or 'j' or '.' or ',' or ' ' or ':' or 't' or 'f' => 4.2,
        'm' or 'w' or 'M' or 'W' or >= '\u2020' => 11,
        _ => 7.1,
    };
}
