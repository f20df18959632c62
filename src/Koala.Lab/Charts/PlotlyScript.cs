using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Charts;

/// <summary>
/// The script that a page needs once to draw all its figures without a network: plotly.js and the code that finds the figures.
/// </summary>
public static class PlotlyScript
{
    private static readonly Lazy<string> s_text = new(() => $"{EmbeddedFile.Read("plotly.js.gz")}\n{EmbeddedFile.Read("draw.js")}");

    /// <summary>
    /// The script, 1.5 MB, for one <c>&lt;script&gt;</c> element anywhere in the page (it contains no <c>&lt;/script</c>). It draws every
    /// <see cref="Figure.Html"/> when the page has loaded, in the colours of the page's text, and again when the page turns light or dark.
    /// </summary>
    public static string Text => s_text.Value;
}
