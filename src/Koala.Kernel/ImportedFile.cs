using Koala.Kernel.Notebooks;
using Koala.Lab;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel;

/// <summary>
/// Reads the cells of a file that <c>#!import</c> names: a notebook, a <c>.dib</c>, or C#, HTML, Markdown or JavaScript
/// as one cell.
/// </summary>
internal static class ImportedFile
{
    // Far above any source; a notebook has a limit of its own.
    private const long MaxBytes = 64L << 20;

    /// <exception cref="KoalaException">The file cannot be read or is of another kind.</exception>
    public static IEnumerable<ImportedCell> Read(string path)
    {
        if (!Path.Exists(path))
            throw new KoalaException(path, "does not exist", "check the path, which is relative to the notebook's folder");
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".ipynb" => Cells(Notebook.Read(path)),
            DibFile.Extension => [new(DibFile.ReadText(path))],
            ".cs" or ".csx" => [new(InputFile.ReadText(path, MaxBytes))],
            ".html" => [new(InputFile.ReadText(path, MaxBytes), "html")],
            ".md" => [new(InputFile.ReadText(path, MaxBytes), "markdown")],
            ".js" => [new(InputFile.ReadText(path, MaxBytes), "javascript")],
            _ => throw new KoalaException(path, "cannot be imported: its file type is unknown",
                "import .ipynb, .dib, .csx, .cs, .html, .md or .js"),
        };
    }

    private static IEnumerable<ImportedCell> Cells(Notebook notebook)
    {
        notebook.CheckLanguages();
        return notebook.Cells.Where(cell => cell.IsCode && !cell.IsSkipped)
            .Select(cell => new ImportedCell(cell.Source, cell.Language, cell.MayRaise));
    }
}

/// <summary>A cell of an imported file.</summary>
/// <param name="Code">The text of the cell.</param>
/// <param name="Language">The language of the cell.</param>
/// <param name="MayRaise">Whether the import goes on after an error of the cell.</param>
internal readonly record struct ImportedCell(string Code, string Language = CellLanguage.CSharp, bool MayRaise = false);
