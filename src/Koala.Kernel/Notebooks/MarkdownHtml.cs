using System.Buffers;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Markdig;
using Markdig.Extensions.GenericAttributes;
using Markdig.Extensions.MediaLinks;
using Markdig.Renderers;

namespace Koala.Kernel.Notebooks;

/// <summary>Renders Markdown as HTML for a page.</summary>
/// <remarks>
/// A notebook comes from anywhere, and a page that somebody opens must not run its scripts. Unless the text is trusted, HTML in it
/// is shown as text, attributes cannot be set, and links keep only the schemes that open a page, an address or a picture. The one
/// exception is a part that a reader opens, such as the answer of an exercise: a line with &lt;details&gt;&lt;summary&gt;, its title and
/// &lt;/summary&gt;, the part, and a line with &lt;/details&gt;.
/// </remarks>
internal static partial class MarkdownHtml
{
    // A browser does nothing with a link of this scheme, and the reader sees what was there.
    private const string Unsafe = "unsafe:";

    private static readonly string[] s_schemes = ["http", "https", "mailto"];
    private static readonly string[] s_pictures = ["image/png", "image/jpeg", "image/gif", "image/webp"];
    private static readonly SearchValues<char> s_endsOfScheme = SearchValues.Create(":/?#");

    private static readonly MarkdownPipeline s_trusted = new MarkdownPipelineBuilder().UseAdvancedExtensions().Build();
    private static readonly MarkdownPipeline s_untrusted = Untrusted();

    /// <summary>Renders a text.</summary>
    /// <param name="text">The Markdown.</param>
    /// <param name="trusted">Whether HTML and all links of the text are kept.</param>
    public static string Render(string text, bool trusted)
    {
        if (trusted) return RenderPart(text, trusted);
        var html = new StringBuilder();
        var end = 0;
        foreach (Match part in ClosedPart().Matches(text))
        {
            html.Append(RenderPart(text[end..part.Index], trusted))
                .Append("<details><summary>").Append(WebUtility.HtmlEncode(part.Groups["title"].Value)).Append("</summary>\n")
                .Append(RenderPart(part.Groups["body"].Value, trusted)).Append("</details>\n");
            end = part.Index + part.Length;
        }
        return html.Append(RenderPart(text[end..], trusted)).ToString();
    }

    private static string RenderPart(string text, bool trusted)
    {
        var pipeline = trusted ? s_trusted : s_untrusted;
        using var html = new StringWriter();
        var renderer = new HtmlRenderer(html) { LinkRewriter = trusted ? null : Link };
        pipeline.Setup(renderer);
        try
        {
            renderer.Render(Markdown.Parse(text, pipeline));
            return html.ToString();
        }
        catch (ArgumentException)
        {
            // The library refuses text that is nested too deeply; the reader still sees it.
            return $"<pre tabindex=\"0\">{WebUtility.HtmlEncode(text)}</pre>\n";
        }
    }

    /// <summary>The text of a heading of the first level in the first line; null if the text does not begin with one.</summary>
    public static string? Title(string text)
    {
        var line = text.TrimStart().Split('\n', 2)[0];
        if (!line.StartsWith("# ", StringComparison.Ordinal)) return null;
        try
        {
            return Markdown.ToPlainText(line, s_untrusted).Trim() is { Length: > 0 } title ? title : null;
        }
        catch (ArgumentException)
        {
            // The heading is nested too deeply.
            return null;
        }
    }

    private static MarkdownPipeline Untrusted()
    {
        var builder = new MarkdownPipelineBuilder().UseAdvancedExtensions().DisableHtml();
        // {onclick=…} sets any attribute, and a link to a video becomes a frame of another site.
        builder.Extensions.TryRemove<GenericAttributesExtension>();
        builder.Extensions.TryRemove<MediaLinkExtension>();
        return builder.Build();
    }

    private static string Link(string url)
    {
        // Browsers skip control characters and blanks in front of a scheme and within it.
        var bare = string.Concat(url.Where(c => c > ' '));
        var end = bare.AsSpan().IndexOfAny(s_endsOfScheme);
        if (end < 0 || bare[end] != ':') return url;
        var scheme = bare[..end];
        var safe = s_schemes.Contains(scheme, StringComparer.OrdinalIgnoreCase)
            || scheme.Equals("data", StringComparison.OrdinalIgnoreCase)
                && s_pictures.Any(mime => bare.AsSpan(end + 1).StartsWith($"{mime};base64,", StringComparison.OrdinalIgnoreCase));
        return safe ? url : Unsafe + url;
    }

    [GeneratedRegex(@"^<details><summary>(?<title>[^<>\r\n]*)</summary>\r?\n(?<body>.*?)^</details>\r?$",
        RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex ClosedPart();
}
