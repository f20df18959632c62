using System.IO.Compression;
using System.Text;

namespace Koala.Lab.Charts.Pages;

/// <summary>The files that the library embeds for pages.</summary>
internal static class PageResources
{
    private static readonly Lazy<string> s_styles = new(() => Read("page.css"));
    private static readonly Lazy<string> s_script = new(() => Read("page.js"));

    /// <summary>The styles of a page.</summary>
    public static string Styles => s_styles.Value;

    /// <summary>The script of a page, which does not draw figures; plotly.js does that.</summary>
    public static string Script => s_script.Value;

    /// <summary>The text of an embedded file; one whose name ends in .gz is decompressed.</summary>
    public static string Read(string name)
    {
        using var file = typeof(PageResources).Assembly.GetManifestResourceStream(name)!;
        using var stream = Path.GetExtension(name) == ".gz" ? new GZipStream(file, CompressionMode.Decompress) : file;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
