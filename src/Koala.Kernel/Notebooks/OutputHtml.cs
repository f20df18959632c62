using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Display;
using Koala.Lab.Charts;

namespace Koala.Kernel.Notebooks;

/// <summary>Renders one output of a cell as HTML, from the richest of its MIME types that a page can show.</summary>
internal static partial class OutputHtml
{
    /// <summary>Renders an output.</summary>
    /// <param name="output">The output, in the form of nbformat.</param>
    /// <param name="isOwn">
    /// Whether code that the user ran made the output. HTML of other outputs, which came with the notebook, is left out.
    /// </param>
    /// <param name="trusted">Whether the user trusts the notebook: as <paramref name="isOwn"/>, and HTML in Markdown is kept.</param>
    public static string Render(JsonObject output, bool isOwn, bool trusted) => output["output_type"]?.ToString() switch
    {
        "stream" => Preformatted(output["name"]?.ToString() == "stderr" ? "stderr" : "stdout", NotebookCell.Text(output["text"])),
        "error" => Preformatted("error", ErrorText(output)),
        _ => output["data"] is JsonObject data ? Bundle(data, isOwn || trusted, trusted) : "",
    };

    private static string ErrorText(JsonObject output) =>
        output["traceback"] is JsonArray lines && lines.Count > 0
            ? string.Join('\n', lines.Select(line => $"{line}"))
            : $"{output["ename"]}: {output["evalue"]}";

    private static string Preformatted(string cssClass, string text) => $"<pre class=\"{cssClass}\" tabindex=\"0\">{Encode(text)}</pre>";

    private static string Bundle(JsonObject data, bool keepHtml, bool trusted)
    {
        // The HTML of a figure is used only if it is Koala's: that of other libraries fetches plotly.js from the
        // network.
        var figure = data[Figure.PlotlyMimeType];
        var html = Text(MimeBundle.Html);
        if (keepHtml && html is not null && (figure is null || html.Contains("koala-figure", StringComparison.Ordinal))) return html;
        if (figure is JsonObject) return Figure.HtmlOf(figure.ToJsonString(), "");
        // Scripts in a picture do not run if it is an image and not a part of the page.
        if (Text("image/svg+xml") is { } svg)
            return keepHtml ? svg : Image("image/svg+xml", Convert.ToBase64String(Encoding.UTF8.GetBytes(svg)));
        foreach (var mime in (string[])["image/png", "image/jpeg", "image/gif"])
        {
            if (Text(mime) is not { } image) continue;
            var base64 = string.Concat(image.Where(c => !char.IsWhiteSpace(c)));
            return Image(mime, base64);
        }
        if (Text("text/markdown") is { } text) return MarkdownHtml.Render(text, trusted);
        if (Text(MimeBundle.PlainText) is { } plain) return Preformatted("stdout", plain);
        return html is null ? "" : Preformatted("stderr", "HTML that came with the notebook is not shown");

        string? Text(string mime) => data[mime] is { } value ? NotebookCell.Text(value) : null;
    }

    private static string Image(string mime, string base64) => $"<img alt=\"\" src=\"data:{mime};base64,{Encode(base64)}\">";

    /// <summary>Whether the output is a figure that plotly.js draws.</summary>
    public static bool IsFigure(JsonObject output) => output["data"] is JsonObject data && data[Figure.PlotlyMimeType] is JsonObject;

    // A page does not show the colour codes and links of a terminal.
    private static string Encode(string text) => WebUtility.HtmlEncode(TerminalCodes().Replace(text, ""));

    [GeneratedRegex(@"\x1B\[[0-9;]*[A-Za-z]|\x1B\][^\x07\x1B\n]*(\x07|\x1B\\)")]
    private static partial Regex TerminalCodes();
}
