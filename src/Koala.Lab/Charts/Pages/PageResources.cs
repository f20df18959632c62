using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Charts.Pages;

/// <summary>The files that the library embeds for pages.</summary>
internal static class PageResources
{
    private static readonly Lazy<string> s_styles = new(() => EmbeddedFile.Read("page.css"));
    private static readonly Lazy<string> s_script = new(() => EmbeddedFile.Read("page.js"));

    /// <summary>The styles of a page.</summary>
    public static string Styles => s_styles.Value;

    /// <summary>The script of a page, which does not draw figures; plotly.js does that.</summary>
    public static string Script => s_script.Value;
}
