using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Lab.Charts.Pages;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;

namespace Koala.Kernel.Notebooks;

/// <summary>Writes a notebook as one HTML page that needs neither a network nor a second file.</summary>
internal static partial class HtmlPage
{
    /// <summary>Writes the page to a file.</summary>
    /// <param name="notebook">The notebook.</param>
    /// <param name="path">The file.</param>
    /// <param name="trusted">
    /// Whether the user trusts the notebook. Otherwise the page keeps only HTML that cells have made which this process ran.
    /// </param>
    /// <exception cref="Koala.Lab.KoalaException">The file cannot be written.</exception>
    public static void Write(Notebook notebook, string path, bool trusted) => AtomicFile.WriteText(path, Text(notebook, trusted));

    public static string Text(Notebook notebook, bool trusted)
    {
        var body = new StringBuilder();
        if (notebook.Cells.Any(cell => cell.IsCode)) body.Append("<button type=\"button\" class=\"code\">Show or hide all code</button>\n");
        // The page begins with the title, so its heading is left out of the text.
        var titled = notebook.Cells.FirstOrDefault(cell => cell.Kind == "markdown" && MarkdownHtml.Title(cell.Source) is not null);
        foreach (var cell in notebook.Cells) Append(body, cell, trusted, isTitled: cell == titled);
        var html = body.ToString();
        var page = new Page(notebook.Title, html)
        {
            Headline = Headlines.FirstIn(notebook.Cells.Where(cell => cell.IsCode && (cell.HasRun || trusted)).SelectMany(HtmlOf)),
            Contents = [.. Headings().Matches(html).Select(Entry)],
            Footer = Page.FooterOf(GitCommit.OfKoala, MachineInfo.Current, TimeProvider.System.GetUtcNow()),
        };
        return page.ToHtml();
    }

    private static void Append(StringBuilder page, NotebookCell cell, bool trusted, bool isTitled)
    {
        if (cell.Kind == "markdown")
        {
            var text = MarkdownHtml.Render(cell.Source, trusted);
            page.Append($"<section class=\"text\">\n{(isTitled ? Title().Replace(text, "") : text)}</section>\n");
        }
        if (!cell.IsCode) return;
        page.Append("<section class=\"cell\">\n");
        AppendCode(page, cell);
        foreach (var output in cell.Outputs.OfType<JsonObject>())
            page.Append($"<div class=\"output\" tabindex=\"0\">{OutputHtml.Render(output, cell.HasRun, trusted)}</div>\n");
        page.Append("</section>\n");
    }

    // Code is folded, so that a reader finds the results; its first line says what it does.
    private static void AppendCode(StringBuilder page, NotebookCell cell)
    {
        if (cell.IsEmpty) return;
        var code = cell.Language == CellLanguage.CSharp ? CodeHtml.Render(cell.Source) : Encode(cell.Source);
        page.Append($"<details class=\"code\"><summary>Code<code>{Encode(cell.Source.TrimStart().Split('\n')[0])}</code></summary>\n");
        page.Append($"<pre class=\"source\" tabindex=\"0\"><code>{code}</code></pre></details>\n");
    }

    private static IEnumerable<string> HtmlOf(NotebookCell cell) => cell.Outputs.OfType<JsonObject>()
        .Select(output => output["data"]).OfType<JsonObject>()
        .Select(data => data["text/html"]).OfType<JsonNode>().Select(NotebookCell.Text);

    private static ContentsEntry Entry(Match heading) =>
        new(WebUtility.HtmlDecode(heading.Groups["id"].Value), WebUtility.HtmlDecode(Tags().Replace(heading.Groups["title"].Value, "")));

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    [GeneratedRegex(@"\A<h1[^>]*>.*?</h1>\n?", RegexOptions.Singleline)]
    private static partial Regex Title();

    [GeneratedRegex("<h2 id=\"(?<id>[^\"]*)\">(?<title>.*?)</h2>", RegexOptions.Singleline)]
    private static partial Regex Headings();

    [GeneratedRegex("<[^>]*>")]
    private static partial Regex Tags();
}
