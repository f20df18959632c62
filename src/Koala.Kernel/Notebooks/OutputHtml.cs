using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Display;
using Koala.Lab.Charts;
using Markdig;

namespace Koala.Kernel.Notebooks;

/// <summary>One output of a cell as HTML: the richest of its forms that a page shows.</summary>
internal static partial class OutputHtml
{
    public static string Render(JsonObject output, MarkdownPipeline markdown) => output["output_type"]?.ToString() switch
    {
        "stream" => $"<pre class=\"{(output["name"]?.ToString() == "stderr" ? "stderr" : "stdout")}\">{Encode(NotebookCell.Text(output["text"]))}</pre>",
        "error" => $"<pre class=\"error\">{Encode(string.Join('\n', output["traceback"] is JsonArray lines && lines.Count > 0 ? lines.Select(line => line!.ToString()) : [$"{output["ename"]}: {output["evalue"]}"]))}</pre>",
        _ => output["data"] is JsonObject data ? Bundle(data, markdown) : "",
    };

    private static string Bundle(JsonObject data, MarkdownPipeline markdown)
    {
        if (Text(MimeBundle.Html) is { } html && (data[Figure.PlotlyMimeType] is null || html.Contains("koala-figure", StringComparison.Ordinal))) return html;
        // The HTML of other libraries' figures fetches plotly.js from the network.
        if (data[Figure.PlotlyMimeType] is JsonObject figure) return Figure.HtmlOf(figure.ToJsonString(), "");
        if (Text("image/svg+xml") is { } svg) return svg;
        foreach (var mime in (string[])["image/png", "image/jpeg", "image/gif"])
            if (Text(mime) is { } image) return $"<img alt=\"\" src=\"data:{mime};base64,{Encode(string.Concat(image.Where(c => !char.IsWhiteSpace(c))))}\">";
        if (Text("text/markdown") is { } text) return Markdown.ToHtml(text, markdown);
        return Text(MimeBundle.PlainText) is { } plain ? $"<pre class=\"stdout\">{Encode(plain)}</pre>" : "";

        string? Text(string mime) => data[mime] is { } value ? NotebookCell.Text(value) : null;
    }

    /// <summary>Whether the output is a figure that plotly.js draws.</summary>
    public static bool IsFigure(JsonObject output) => output["data"] is JsonObject data && data[Figure.PlotlyMimeType] is JsonObject;

    // Colour codes of a terminal have no place in a page.
    private static string Encode(string text) => WebUtility.HtmlEncode(TerminalCodes().Replace(text, ""));

    [GeneratedRegex(@"\x1B\[[0-9;]*[A-Za-z]")]
    private static partial Regex TerminalCodes();
}
