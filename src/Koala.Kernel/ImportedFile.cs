using System.Text.RegularExpressions;
using Koala.Kernel.Notebooks;
using Koala.Lab;

namespace Koala.Kernel;

/// <summary>The cells of a file that <c>#!import</c> names: a notebook, a <c>.dib</c>, or C#, HTML, Markdown or a script as one cell.</summary>
internal static partial class ImportedFile
{
    /// <exception cref="KoalaException">The file cannot be read or is of another kind.</exception>
    public static IEnumerable<string> Read(string path)
    {
        if (!File.Exists(path)) throw new KoalaException(path, "does not exist", "check the path, which begins at the notebook's folder");
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".ipynb" => Notebook.Read(path).Cells.Where(cell => cell.IsCode).Select(cell => cell.Source),
            ".dib" => [Metadata().Replace(File.ReadAllText(path), "")],
            ".cs" or ".csx" => [File.ReadAllText(path)],
            ".html" => ["#!html\n" + File.ReadAllText(path)],
            ".md" => ["#!markdown\n" + File.ReadAllText(path)],
            ".js" => ["#!javascript\n" + File.ReadAllText(path)],
            _ => throw new KoalaException(path, "is of no kind that can be imported", "import .ipynb, .dib, .csx, .cs, .html, .md or .js"),
        };
    }

    // The head of a .dib: #!meta and JSON up to the first cell.
    [GeneratedRegex(@"\A\s*#!meta\b.*?(?=^#!|\z)", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Metadata();
}
