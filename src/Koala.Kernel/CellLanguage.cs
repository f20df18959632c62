using System.Text.Json.Nodes;

namespace Koala.Kernel;

/// <summary>
/// The language of a cell, which polyglot notebooks and editors write into the cell's metadata. The kernel runs C#, and shows
/// HTML, Markdown and JavaScript; it never takes a cell of another language for C#.
/// </summary>
internal static class CellLanguage
{
    public const string CSharp = "csharp";

    public const string Markdown = "markdown";

    /// <summary>The languages that the kernel runs, under the names of their directives.</summary>
    public static readonly string[] Known = [CSharp, "html", Markdown, "javascript"];

    // The other languages that .NET Interactive runs, under the names of their directives.
    private static readonly string[] s_others = ["fsharp", "f#", "pwsh", "powershell", "sql", "kql", "http", "mermaid"];

    // Editors write these for "see the metadata of the polyglot notebook".
    private static readonly string[] s_placeholders = ["polyglot-notebook", "dotnet-interactive"];

    private static readonly Dictionary<string, string> s_aliases = new(StringComparer.OrdinalIgnoreCase)
    {
        ["c#"] = CSharp,
        ["cs"] = CSharp,
        ["md"] = Markdown,
        ["js"] = "javascript",
    };

    /// <summary>Reads the language that the metadata of a cell names.</summary>
    /// <returns>
    /// One of <see cref="Known"/>; another name as the metadata has it; null if the metadata names no language.
    /// </returns>
    /// <exception cref="FormatException">The metadata is not of the form that polyglot notebooks write.</exception>
    public static string? OfCell(JsonObject metadata) =>
        Normalized(Text(metadata, "polyglot_notebook", "kernelName"))
        ?? Normalized(Text(metadata, "dotnet_interactive", "language"))
        ?? Normalized(Text(metadata, "vscode", "languageId"));

    /// <summary>Reads the language of the cells whose own metadata names none from the metadata of their notebook.</summary>
    /// <returns>As <see cref="OfCell"/>, but <see cref="CSharp"/> if the metadata names no language.</returns>
    /// <exception cref="FormatException">The metadata is not of the form that Jupyter or polyglot notebooks write.</exception>
    public static string OfNotebook(JsonObject metadata) =>
        Normalized(Text(metadata, "polyglot_notebook", "kernelInfo", "defaultKernelName"))
        ?? Normalized(Text(metadata, "kernelspec", "language"))
        ?? Normalized(Text(metadata, "language_info", "name"))
        ?? CSharp;

    /// <summary>Reads the name of the kernel that the metadata of a notebook asks for; null if it asks for none.</summary>
    /// <exception cref="FormatException">The metadata is not of the form that Jupyter writes.</exception>
    public static string? KernelOf(JsonObject metadata) => Text(metadata, "kernelspec", "name");

    /// <summary>The metadata of a request to run a cell in a language, in the form that <see cref="OfCell"/> reads.</summary>
    public static JsonObject ToMetadata(string language) =>
        new() { ["polyglot_notebook"] = new JsonObject { ["kernelName"] = language } };

    /// <summary>The language that a directive begins, without its <c>#!</c>; null if the directive does something else.</summary>
    public static string? OfDirective(string directive)
    {
        var language = Normalized(directive)!;
        return Known.Contains(language) || s_others.Contains(language, StringComparer.OrdinalIgnoreCase) ? language : null;
    }

    /// <exception cref="Koala.Lab.KoalaException">The kernel does not know the language.</exception>
    public static void Check(string language)
    {
        if (Known.Contains(language)) return;
        throw Fault.Create("the cell", $"is in '{Excerpt.Of(language)}', but Koala runs {string.Join(", ", Known)}",
            "change the language of the cell, or choose the kernel of that language");
    }

    private static string? Normalized(string? name)
    {
        var bare = name?.Trim().Replace("dotnet-interactive.", "", StringComparison.OrdinalIgnoreCase);
        if (string.IsNullOrEmpty(bare) || s_placeholders.Contains(bare, StringComparer.OrdinalIgnoreCase)) return null;
        if (s_aliases.TryGetValue(bare, out var full)) return full;
        return Array.Find(Known, known => known.Equals(bare, StringComparison.OrdinalIgnoreCase)) ?? bare;
    }

    // Text of nested objects; null if the last one, or one on the way to it, is absent.
    private static string? Text(JsonObject metadata, params ReadOnlySpan<string> path)
    {
        JsonNode? node = metadata;
        for (var i = 0; i < path.Length && node is not null; i++)
        {
            if (node is not JsonObject parent) throw new FormatException($"{path[i - 1]} is not a JSON object");
            node = parent[path[i]];
        }
        if (node is null) return null;
        return node is JsonValue value && value.TryGetValue(out string? text)
            ? text
            : throw new FormatException($"{path[^1]} is not a string");
    }
}
