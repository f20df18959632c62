using System.Text;

namespace Koala.Lab.Charts.Pages;

/// <summary>Collects the sections of a page, each with a heading that the contents name.</summary>
internal sealed class PageSections
{
    private readonly StringBuilder _body = new();
    private readonly List<ContentsEntry> _contents = [];

    /// <param name="title">The heading: one word, which is also its id.</param>
    /// <param name="html">The HTML below it.</param>
    public void Add(string title, string html)
    {
        var entry = new ContentsEntry(title.ToLowerInvariant(), title);
        _contents.Add(entry);
        _body.Append($"<section>\n<h2 id=\"{entry.Id}\">{Html.Escape(title)}</h2>\n{html}</section>\n");
    }

    public Page ToPage(string title) => new(title, _body.ToString()) { Contents = _contents };
}
