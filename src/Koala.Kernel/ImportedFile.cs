using System.Text.RegularExpressions;
using Koala.Kernel.Notebooks;
using Koala.Lab;

namespace Koala.Kernel;

/// <summary>
/// Reads the cells of a file that <c>#!import</c> names: a notebook, a <c>.dib</c>, or C#, HTML, Markdown or JavaScript
/// as one cell.
/// </summary>
internal static partial class ImportedFile
{
    /// <exception cref="KoalaException">The file cannot be read or is of another kind.</exception>
    public static IEnumerable<string> Read(string path)
    {
        if (!File.Exists(path))
            throw new KoalaException(path, "does not exist", "check the path, which is relative to the notebook's folder");
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".ipynb" => Notebook.Read(path).Cells.Where(cell => cell.IsCode).Select(cell => cell.Source),
            ".dib" => [Metadata().Replace(File.ReadAllText(path), "")],
            ".cs" or ".csx" => [File.ReadAllText(path)],
            ".html" => ["#!html\n" + File.ReadAllText(path)],
            ".md" => ["#!markdown\n" + File.ReadAllText(path)],
            ".js" => ["#!javascript\n" + File.ReadAllText(path)],
            _ => throw new KoalaException(path, "cannot be imported: its file type is unknown",
                "import .ipynb, .dib, .csx, .cs, .html, .md or .js"),
        };
    }

    // A .dib begins with #!meta and JSON, which end at the first cell.
    [GeneratedRegex(@"\A\s*#!meta\b.*?(?=^#!|\z)", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Metadata();
}
