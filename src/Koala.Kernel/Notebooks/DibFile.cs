using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Lab;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel.Notebooks;

/// <summary>Reads a <c>.dib</c>, the text form of polyglot notebooks: cells that each begin with the directive of their language.</summary>
internal static partial class DibFile
{
    public const string Extension = ".dib";

    // Far above any source; a notebook has a limit of its own.
    private const long MaxBytes = 64L << 20;

    public static bool Is(string path) => Path.GetExtension(path).Equals(Extension, StringComparison.OrdinalIgnoreCase);

    /// <summary>The text of the file without the metadata at its start.</summary>
    /// <exception cref="KoalaException">The file cannot be read.</exception>
    public static string ReadText(string path) => Metadata().Replace(InputFile.ReadText(path, MaxBytes), "");

    /// <summary>The file as a notebook in nbformat 4.</summary>
    /// <exception cref="KoalaException">The file cannot be read.</exception>
    public static JsonObject Read(string path)
    {
        var cells = new JsonArray();
        var (language, source) = (CellLanguage.CSharp, new List<string>());
        foreach (var line in ReadText(path).ReplaceLineEndings("\n").Split('\n'))
        {
            if (CellStart().Match(line) is { Success: true } start && CellLanguage.OfDirective(start.Groups[1].Value) is { } next)
            {
                Add(cells, language, source);
                language = next;
                source.Clear();
            }
            else
            {
                source.Add(line);
            }
        }
        Add(cells, language, source);
        return new JsonObject { ["cells"] = cells, ["metadata"] = new JsonObject(), ["nbformat"] = 4, ["nbformat_minor"] = 5 };
    }

    private static void Add(JsonArray cells, string language, List<string> source)
    {
        var text = string.Join('\n', source).Trim('\n');
        if (string.IsNullOrWhiteSpace(text)) return;
        var isCode = language != CellLanguage.Markdown;
        var cell = new JsonObject
        {
            ["cell_type"] = isCode ? "code" : "markdown",
            ["id"] = $"cell-{cells.Count + 1}",
            ["metadata"] = isCode ? CellLanguage.ToMetadata(language) : new JsonObject(),
            ["source"] = NotebookCell.Lines(text),
        };
        if (isCode) (cell["execution_count"], cell["outputs"]) = (null, new JsonArray());
        cells.Add(cell);
    }

    // It begins with #!meta and JSON, which end at the first cell.
    [GeneratedRegex(@"\A\s*#!meta\b.*?(?=^#!|\z)", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Metadata();

    [GeneratedRegex(@"^#!(\S+)\s*$")]
    private static partial Regex CellStart();
}
