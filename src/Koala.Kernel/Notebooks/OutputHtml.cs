using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Display;
using Koala.Lab.Charts;
using Markdig;

namespace Koala.Kernel.Notebooks;

/// <summary>Renders one output of a cell as HTML, from the richest of its MIME types that a page can show.</summary>
internal static partial class OutputHtml
{
    public static string Render(JsonObject output, MarkdownPipeline markdown) => output["output_type"]?.ToString() switch
    {
        "stream" => Preformatted(output["name"]?.ToString() == "stderr" ? "stderr" : "stdout", NotebookCell.Text(output["text"])),
        "error" => Preformatted("error", ErrorText(output)),
        _ => output["data"] is JsonObject data ? Bundle(data, markdown) : "",
    };

    private static string ErrorText(JsonObject output) =>
        output["traceback"] is JsonArray lines && lines.Count > 0
            ? string.Join('\n', lines.Select(line => line!.ToString()))
            : $"{output["ename"]}: {output["evalue"]}";

    private static string Preformatted(string cssClass, string text) => $"<pre class=\"{cssClass}\">{Encode(text)}</pre>";

    private static string Bundle(JsonObject data, MarkdownPipeline markdown)
    {
        // The HTML of a figure is used only if it is Koala's: that of other libraries fetches plotly.js from the
        // network.
        var figure = data[Figure.PlotlyMimeType];
        if (Text(MimeBundle.Html) is { } html && (figure is null || html.Contains("koala-figure", StringComparison.Ordinal))) return html;
        if (figure is JsonObject) return Figure.HtmlOf(figure.ToJsonString(), "");
        if (Text("image/svg+xml") is { } svg) return svg;
        foreach (var mime in (string[])["image/png", "image/jpeg", "image/gif"])
        {
            if (Text(mime) is not { } image) continue;
            var base64 = string.Concat(image.Where(c => !char.IsWhiteSpace(c)));
            return $"<img alt=\"\" src=\"data:{mime};base64,{Encode(base64)}\">";
        }
        if (Text("text/markdown") is { } text) return Markdown.ToHtml(text, markdown);
        return Text(MimeBundle.PlainText) is { } plain ? Preformatted("stdout", plain) : "";

        string? Text(string mime) => data[mime] is { } value ? NotebookCell.Text(value) : null;
    }

    /// <summary>Whether the output is a figure that plotly.js draws.</summary>
    public static bool IsFigure(JsonObject output) => output["data"] is JsonObject data && data[Figure.PlotlyMimeType] is JsonObject;

    // A page does not show the colour codes of a terminal.
    private static string Encode(string text) => WebUtility.HtmlEncode(TerminalCodes().Replace(text, ""));

    [GeneratedRegex(@"\x1B\[[0-9;]*[A-Za-z]")]
    private static partial Regex TerminalCodes();
}
