using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Koala.Lab.Charts;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel.Notebooks;

/// <summary>Writes a notebook as one HTML page that needs neither a network nor a second file.</summary>
internal static class HtmlPage
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
        var page = new StringBuilder();
        page.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.Append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        page.Append($"<title>{Encode(notebook.Title)}</title>\n<style>\n{Styles}</style>\n</head>\n<body>\n<main>\n");
        foreach (var cell in notebook.Cells) Append(page, cell, trusted);
        // The script is large, so the page has it once, and only if it has a figure.
        if (notebook.Cells.Any(HasFigure)) page.Append($"<script>{PlotlyScript.Text}</script>\n");
        return page.Append("</main>\n</body>\n</html>\n").ToString();
    }

    private static bool HasFigure(NotebookCell cell) => cell.IsCode && cell.Outputs.OfType<JsonObject>().Any(OutputHtml.IsFigure);

    private static void Append(StringBuilder page, NotebookCell cell, bool trusted)
    {
        if (cell.Kind == "markdown")
            page.Append($"<section class=\"text\">\n{MarkdownHtml.Render(cell.Source, trusted)}</section>\n");
        if (!cell.IsCode) return;
        var code = cell.Language == CellLanguage.CSharp ? CodeHtml.Render(cell.Source) : Encode(cell.Source);
        page.Append($"<section class=\"cell\">\n<pre class=\"source\" tabindex=\"0\"><code>{code}</code></pre>\n");
        foreach (var output in cell.Outputs.OfType<JsonObject>())
            page.Append($"<div class=\"output\" tabindex=\"0\">{OutputHtml.Render(output, cell.HasRun, trusted)}</div>\n");
        page.Append("</section>\n");
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    // The page follows the light or dark scheme of the reader's system. The contrast is at least 4.5 in both. What is wider than the
    // page scrolls, and has a shadow at its right edge as long as more is there.
    private const string Styles = """
        :root { color-scheme: light dark;
          --ink: #1b1f24; --paper: #ffffff; --soft: #f5f6f8; --line: #d6dae0; --faint: #5b6470; --fault: #a31515; --fault-paper: #fdf1f0;
          --keyword: #0b4fb3; --string: #8a3b12; --comment: #4c6b3f; --number: #096b5a; }
        @media (prefers-color-scheme: dark) { :root {
          --ink: #e4e7eb; --paper: #15181c; --soft: #1e2227; --line: #3a4048; --faint: #9aa4b0; --fault: #ff9d93; --fault-paper: #2c1a1a;
          --keyword: #7fb2ff; --string: #e8b07c; --comment: #94b884; --number: #6fd1bd; } }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
        main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
        h1, h2, h3 { line-height: 1.25; }
        a { color: var(--keyword); }
        code, pre { font: 0.875rem/1.5 ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", monospace; }
        pre { overflow-x: auto; margin: 0; white-space: pre; }
        section.text pre, pre.source { --under: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: 0.7rem 0.9rem; }
        section.cell { margin: 1.2rem 0; }
        div.output { margin: 0.4rem 0 0 0.9rem; overflow-x: auto; }
        pre, div.output { background:
          linear-gradient(to left, var(--under, var(--paper)) 40%, transparent) right / 3rem 100% no-repeat local,
          linear-gradient(to left, var(--faint), transparent) right / 0.5rem 100% no-repeat scroll,
          var(--under, var(--paper)); }
        :focus-visible { outline: 2px solid var(--keyword); }
        pre.stdout { white-space: pre-wrap; }
        pre.stderr { color: var(--faint); }
        pre.error { color: var(--fault); --under: var(--fault-paper); border-left: 3px solid var(--fault); padding: 0.6rem 0.9rem;
          white-space: pre-wrap; }
        table { border-collapse: collapse; margin: 0.5rem 0; font-size: 0.9rem; }
        th, td { border-bottom: 1px solid var(--line); padding: 0.25rem 0.7rem; text-align: start; vertical-align: top; }
        img, svg { max-width: 100%; height: auto; }
        @media (max-width: 40rem) { main { padding: 1rem 0.7rem; } div.output { margin-left: 0; } th, td { padding: 0.25rem 0.4rem; } }
        @media print { pre, div.output { white-space: pre-wrap; overflow: visible; background: none; } main { max-width: none; } }
        .k { color: var(--keyword); } .s { color: var(--string); } .c { color: var(--comment); } .n { color: var(--number); }

        """;
}
