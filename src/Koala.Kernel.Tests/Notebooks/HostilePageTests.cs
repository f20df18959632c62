using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Notebooks;

namespace Koala.Kernel.Tests.Notebooks;

/// <summary>A page of a stranger's notebook runs nothing that the notebook brings along.</summary>
public sealed partial class HostilePageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Markdown that would run a script, fetch a frame or restyle the page; each script would set document.title.</summary>
    internal static string[] Hostile =>
    [
        "<script>document.title='ran'</script>",
        "# A heading <script>document.title='ran'</script>",
        "text <ScRiPt src=\"data:text/javascript,document.title='ran'\"></sCrIpT>",
        "<img src=x onerror=\"document.title='ran'\">",
        "text <img src=x onerror=document.title='ran'> text",
        "<svg onload=\"document.title='ran'\"></svg>",
        "<svg><script>document.title='ran'</script></svg>",
        "<svg><animate onbegin=\"document.title='ran'\" attributeName=x dur=1s>",
        "<math><mtext><script>document.title='ran'</script></mtext></math>",
        "<iframe src=\"javascript:parent.document.title='ran'\"></iframe>",
        "<iframe srcdoc=\"<script>parent.document.title='ran'</script>\"></iframe>",
        "<object data=\"javascript:document.title='ran'\"></object>",
        "<embed src=\"javascript:document.title='ran'\">",
        "<details open ontoggle=\"document.title='ran'\"><summary>s</summary></details>",
        "<video><source onerror=\"document.title='ran'\"></video>",
        "<input autofocus onfocus=\"document.title='ran'\">",
        "<body onload=\"document.title='ran'\">",
        "<style>body { display: none }</style>",
        "<link rel=stylesheet href=\"data:text/css,body{display:none}\">",
        "<meta http-equiv=refresh content=\"0;url=javascript:document.title='ran'\">",
        "<base href=\"https://example.invalid/\">",
        "<form action=\"javascript:document.title='ran'\"><button>b</button></form>",
        "<!-- --><script>document.title='ran'</script>",
        "<div>\n\n<script>document.title='ran'</script>\n\n</div>",
        "<x onclick=\"document.title='ran'\">y</x>",
        "<![CDATA[<script>document.title='ran'</script>]]>",
        "<?php <script>document.title='ran'</script> ?>",
        "[a](javascript:document.title='ran')",
        "[a](JaVaScRiPt:document.title='ran')",
        "[a](<java\tscript:document.title='ran'>)",
        "[a](&#106;avascript:document.title='ran')",
        "[a](&#x6A;&#x61;vascript&colon;document.title='ran')",
        "[a](java&Tab;script:document.title='ran')",
        "[a](java&NewLine;script:document.title='ran')",
        "[a](&#1;javascript:document.title='ran')",
        "[a](vbscript:document.title='ran')",
        "[a](data:text/html,<script>document.title='ran'</script>)",
        "[a](data:text/html;base64,PHNjcmlwdD5kb2N1bWVudC50aXRsZT0ncmFuJzwvc2NyaXB0Pg==)",
        "[a](data:image/svg+xml,<svg/onload=document.title='ran'>)",
        "[a](file:///etc/passwd)",
        "[a][r]\n\n[r]: javascript:document.title='ran'",
        "[a][r]\n\n[r]: <javascript:document.title='ran'> \"t\"",
        "![a](javascript:document.title='ran')",
        "![a](vbscript:document.title='ran')",
        "![a\" onerror=\"document.title='ran'](x)",
        "![a](x \"t' onerror='document.title=1\")",
        "![a](x\"onerror=\"document.title='ran')",
        "<javascript:document.title='ran'>",
        "<data:text/html,ran>",
        "[![a](javascript:document.title='ran')](javascript:document.title='ran')",
        "# Heading {onclick=document.title='ran'}",
        "[a](b){onmouseover=\"document.title='ran'\"}",
        "![a](b){onerror=\"document.title='ran'\"}",
        "text {style=\"position:fixed;inset:0\" onclick=\"x\"}",
        "![v](https://www.youtube.com/watch?v=abcdefghijk)",
        "![v](https://vimeo.com/8607834)",
        "|a|b|\n|-|-|\n|<script>document.title='ran'</script>|[x](javascript:1)|",
        "- [ ] <script>document.title='ran'</script>",
        "Term\n:   <script>document.title='ran'</script>",
        "a[^1]\n\n[^1]: <script>document.title='ran'</script>",
        "*[HTML]: \"><script>document.title='ran'</script>\n\nHTML",
        "```\"><script>document.title='ran'</script>\ncode\n```",
        "```mermaid\n</div><script>document.title='ran'</script>\n```",
        "$$\n</div><script>document.title='ran'</script>\n$$",
        "$</span><script>document.title='ran'</script>$",
        ":::\"onclick=\"x\n<script>document.title='ran'</script>\n:::",
        "^^^\n<script>document.title='ran'</script>\n^^^ <script>document.title='ran'</script>",
        "> [!NOTE]\n> <script>document.title='ran'</script>",
        "\"\"<script>document.title='ran'</script>\"\"",
        "https://x.invalid/\"onmouseover=\"document.title='ran'",
        "www.x.invalid/<script>document.title='ran'</script>",
        "`<script>document.title='ran'</script>`</code><script>document.title='ran'</script>",
        "\\<script>document.title='ran'</script>",
        "<details><summary>a</summary>\n<script>document.title='ran'</script>\n</details>",
        "<details><summary>\"><img src=x onerror=document.title='ran'></summary>\ntext\n</details>",
        "&lt;script&gt;document.title='ran'&lt;/script&gt;",
    ];

    public static TheoryData<string> HostileMarkdown => [.. Hostile];

    [Theory]
    [MemberData(nameof(HostileMarkdown))]
    public void Markdown_brings_no_element_attribute_or_link_that_does_something(string markdown) =>
        Assert.Empty(Faults(MarkdownHtml.Render(markdown, trusted: false)));

    [Fact]
    public void The_check_finds_what_it_looks_for() => Assert.True(
        Hostile.Count(markdown => Faults(MarkdownHtml.Render(markdown, trusted: true)).Length > 0) > Hostile.Length / 2);

    [Theory]
    [InlineData("[a](https://example.org/?a=1&b=2)", "href=\"https://example.org/?a=1&amp;b=2\"")]
    [InlineData("[a](other.ipynb#part-2)", "href=\"other.ipynb#part-2\"")]
    [InlineData("[a](#a:b)", "href=\"#a:b\"")]
    [InlineData("<mailto:a@example.org>", "href=\"mailto:a@example.org\"")]
    [InlineData("![a](picture.png)", "src=\"picture.png\"")]
    [InlineData("![a](data:image/png;base64,AAAA)", "src=\"data:image/png;base64,AAAA\"")]
    [InlineData("a **b** `c`", "<p>a <strong>b</strong> <code>c</code></p>")]
    [InlineData("|a|\n|-|\n|b|", "<td>b</td>")]
    [InlineData("# A title", "<h1 id=\"a-title\">A title</h1>")]
    public void Harmless_markdown_stays(string markdown, string html) =>
        Assert.Contains(html, MarkdownHtml.Render(markdown, trusted: false), StringComparison.Ordinal);

    [Fact]
    public void The_answer_of_an_exercise_is_closed_until_a_reader_opens_it()
    {
        const string Markdown = "before\n\n<details><summary>1 & 2</summary>\n\n**the** answer\n\n</details>\n\nafter </details>";
        const string Closed = "<details><summary>1 &amp; 2</summary>\n<p><strong>the</strong> answer</p>\n</details>\n";
        Assert.Equal($"<p>before</p>\n{Closed}<p>after &lt;/details&gt;</p>\n", MarkdownHtml.Render(Markdown, trusted: false));
    }

    [Fact]
    public void An_unsafe_link_shows_what_it_was() =>
        Assert.Contains("href=\"unsafe:javascript:x\"", MarkdownHtml.Render("[a](javascript:x)", trusted: false), StringComparison.Ordinal);

    [Theory]
    [InlineData(">")]
    [InlineData("[")]
    [InlineData("*a")]
    [InlineData("`a")]
    [InlineData("- ")]
    public void Nesting_without_end_is_rendered_or_shown_as_text(string mark)
    {
        var text = string.Concat(Enumerable.Repeat(mark, 10_000)) + "the end";
        var html = MarkdownHtml.Render(text, trusted: false);

        _ = MarkdownHtml.Title($"# {text}");
        Assert.Contains("the end", html, StringComparison.Ordinal);
    }

    [Fact]
    public void The_option_trust_keeps_the_HTML_of_the_notebook_and_without_it_none_is_kept()
    {
        var notebook = WriteWithHtml();
        Assert.Equal(0, CommandRun.Of("run", notebook, "--html", _folder.At("page.html"), "--quiet").ExitCode);
        var page = File.ReadAllText(_folder.At("page.html"));
        Assert.Contains("<b>of this run</b>", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;in a text&lt;/b&gt;", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<b>stored</b>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<svg>", page, StringComparison.Ordinal);
        Assert.Contains("stored as text", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;shown as Markdown&lt;/b&gt;", page, StringComparison.Ordinal);

        Assert.Equal(0, CommandRun.Of("run", notebook, "--html", _folder.At("page.html"), "--quiet", "--trust").ExitCode);
        page = File.ReadAllText(_folder.At("page.html"));
        foreach (var html in (string[])["<b>of this run</b>", "<b>in a text</b>", "<b>stored</b>", "<svg>", "<b>shown as Markdown</b>"])
            Assert.Contains(html, page, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    // A notebook with HTML in its text, made by its cells, and in the stored outputs of a cell that does not run.
    private string WriteWithHtml()
    {
        var path = _folder.WriteNotebook("in.ipynb",
            "HTML(\"<b>of this run</b>\")", "\"<b>shown as Markdown</b>\".DisplayAs(\"text/markdown\");", "[skip-execution]1");
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        json["cells"]!.AsArray().Insert(0, new JsonObject
        {
            ["cell_type"] = "markdown",
            ["id"] = "text",
            ["metadata"] = new JsonObject(),
            ["source"] = "<b>in a text</b>",
        });
        json["cells"]![3]!["outputs"] = new JsonArray(
            Stored(new JsonObject { ["text/html"] = "<b>stored</b>", ["text/plain"] = "stored as text" }),
            Stored(new JsonObject { ["image/svg+xml"] = "<svg></svg>" }));
        return _folder.Write("in.ipynb", json.ToJsonString());

        static JsonObject Stored(JsonObject data) =>
            new() { ["output_type"] = "display_data", ["data"] = data, ["metadata"] = new JsonObject() };
    }

    // The elements, attributes and links of HTML that Markdown has no need of.
    private static string[] Faults(string html) =>
    [
        .. Elements().Matches(html).Select(match => match.Value).Where(tag => !HarmlessElement().IsMatch(tag)),
        .. Elements().Matches(html).SelectMany(match => Attributes().Matches(match.Groups[1].Value)).Select(match => match.Groups[1].Value)
            .Where(name => !HarmlessAttribute().IsMatch(name)),
        .. Links().Matches(html).Select(match => WebUtility.HtmlDecode(match.Groups[1].Value))
            .Where(url => !HarmlessLink().IsMatch(url)),
    ];

    [GeneratedRegex("<[a-zA-Z!/?]((?:[^<>\"]|\"[^\"]*\")*)>")]
    private static partial Regex Elements();

    // A part that a reader opens must have no attribute: ontoggle would be one.
    [GeneratedRegex("^</?((details|summary)>$|(p|h[1-6]|a|img|em|strong|code|pre|br|hr|ul|ol|li|blockquote|table|thead|tbody|tr|th|td"
        + "|div|span|input|label|dl|dt|dd|sup|sub|del|ins|mark|abbr|section|figure|figcaption|footer|cite|col|colgroup|svg|path)[ />])")]
    private static partial Regex HarmlessElement();

    [GeneratedRegex("([a-zA-Z-]+)=\"")]
    private static partial Regex Attributes();

    [GeneratedRegex("^(href|src|alt|title|id|class|type|disabled|checked|role|viewbox|version|width|height|aria-hidden|d|style)$",
        RegexOptions.IgnoreCase)]
    private static partial Regex HarmlessAttribute();

    [GeneratedRegex("(?:href|src)=\"([^\"]*)\"")]
    private static partial Regex Links();

    [GeneratedRegex("^(unsafe:|https?:|mailto:|data:image/(png|jpeg|gif|webp);base64,|[^:]*$|[^:]*[/?#])")]
    private static partial Regex HarmlessLink();
}
