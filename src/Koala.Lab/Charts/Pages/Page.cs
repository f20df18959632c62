using System.Globalization;
using System.Text;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Machine;

namespace Koala.Lab.Charts.Pages;

/// <summary>
/// A page that needs neither a network nor a second file: the layout that reports and notebooks share. It has a headline, a list of
/// contents and a footer, is light or dark as the reader's system, and can be printed and read on a phone.
/// </summary>
/// <param name="Title">The title as plain text, which is also the page's first heading.</param>
/// <param name="Body">
/// The HTML of the page below its title. Its figures (<see cref="Figure.Html"/>) are drawn by plotly.js, and its tables are sorted by
/// clicks.
/// </param>
public sealed record Page(string Title, string Body)
{
    /// <summary>The figures that the reader wants first; they stand in large type below the title.</summary>
    public IReadOnlyList<HeadlineFigure> Headline { get; init; } = [];

    /// <summary>The contents: the headings of the body that have an id. A page with fewer than two has no list.</summary>
    public IReadOnlyList<ContentsEntry> Contents { get; init; } = [];

    /// <summary>What the page's results come from, in plain text: the commit, the machine and the date.</summary>
    public string Footer { get; init; } = "";

    /// <summary>The text of a footer.</summary>
    /// <param name="commit">The commit of Koala's sources; null if it is not known.</param>
    /// <param name="machine">The machine.</param>
    /// <param name="time">The time of the results.</param>
    public static string FooterOf(GitCommit? commit, MachineInfo machine, DateTimeOffset time)
    {
        var processor = string.Create(CultureInfo.InvariantCulture, $"{machine.Cpu}, {machine.Cores} cores");
        var date = time.UtcDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
        return $"Koala, commit {Short(commit)}; {machine.Gpu?.Name ?? processor}; {date} UTC";
    }

    /// <summary>The whole page.</summary>
    public string ToHtml()
    {
        var page = new StringBuilder();
        page.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.Append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        page.Append($"<title>{Html.Escape(Title)}</title>\n<style>\n{PageResources.Styles}</style>\n</head>\n<body>\n");
        page.Append($"<div class=\"page\">\n<h1>{Html.Escape(Title)}</h1>\n");
        AppendHeadline(page);
        AppendContents(page);
        page.Append($"<main>\n{Body}</main>\n");
        if (Footer.Length > 0) page.Append($"<footer>{Html.Escape(Footer)}</footer>\n");
        page.Append($"</div>\n<script>{PageResources.Script}</script>\n");
        // plotly.js is large, so the page has it once, and only if it has a figure.
        if (Body.Contains("class=\"koala-figure\"", StringComparison.Ordinal)) page.Append($"<script>{PlotlyScript.Text}</script>\n");
        return page.Append("</body>\n</html>\n").ToString();
    }

    internal static string Short(GitCommit? commit) => commit is null
        ? "unknown"
        : commit.Hash[..Math.Min(12, commit.Hash.Length)] + (commit.Clean ? "" : " with changes");

    private void AppendHeadline(StringBuilder page)
    {
        if (Headline.Count == 0) return;
        page.Append("<dl class=\"headline\">\n");
        foreach (var (name, value, note) in Headline)
        {
            page.Append($"<div><dt>{Html.Escape(name)}</dt><dd class=\"value\">{Html.Escape(value)}</dd>");
            page.Append($"<dd class=\"note\">{Html.Escape(note)}</dd></div>\n");
        }
        page.Append("</dl>\n");
    }

    private void AppendContents(StringBuilder page)
    {
        if (Contents.Count < 2) return;
        page.Append("<nav aria-label=\"Contents\"><details><summary>Contents</summary><ul>\n");
        foreach (var (id, title) in Contents) page.Append($"<li><a href=\"#{Html.Escape(id)}\">{Html.Escape(title)}</a></li>\n");
        page.Append("</ul></details></nav>\n");
    }
}

/// <summary>A figure of a page's headline.</summary>
/// <param name="Name">What it is, such as <c>speedup</c>.</param>
/// <param name="Value">Its value, such as <c>1.31</c>.</param>
/// <param name="Note">What belongs to it, such as its interval; may be empty.</param>
public sealed record HeadlineFigure(string Name, string Value, string Note = "");

/// <summary>A heading that the list of contents names.</summary>
/// <param name="Id">The heading's id.</param>
/// <param name="Title">Its text.</param>
public sealed record ContentsEntry(string Id, string Title);
