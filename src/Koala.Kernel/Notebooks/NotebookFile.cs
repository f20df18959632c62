using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel.Notebooks;

/// <summary>Reads the file of a notebook in nbformat 4, and checks everything that the rest of this program takes for granted.</summary>
internal static class NotebookFile
{
    // Far above notebooks with many figures, which have some ten MB.
    private const long MaxBytes = 512L << 20;

    private const string Fix = "give a Jupyter notebook (.ipynb), or save it again in Jupyter";

    private static readonly string[] s_kinds = ["code", "markdown", "raw"];

    /// <returns>A notebook whose metadata, cells, and metadata and outputs of cells exist and have the right types.</returns>
    /// <exception cref="KoalaException">The file cannot be read or is not a notebook; the message says why.</exception>
    public static JsonObject Read(string path)
    {
        var bytes = InputFile.Read(path, MaxBytes, "clear the notebook's outputs");
        try
        {
            return Checked(path, StrictJson.Parse(WithoutByteOrderMark(bytes)));
        }
        catch (JsonException e)
        {
            var line = e.LineNumber is { } index ? $", line {index + 1}" : "";
            throw new KoalaException($"{path}{line}", $"is not valid JSON ({Excerpt.Of(e.Message.Split('.')[0])})",
                "give a Jupyter notebook (.ipynb)", e);
        }
    }

    private static ReadOnlySpan<byte> WithoutByteOrderMark(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith("\uFEFF"u8) ? bytes["\uFEFF"u8.Length..] : bytes;

    private static JsonObject Checked(string path, JsonNode? json)
    {
        if (json is not JsonObject notebook) throw Fault(path, "is not a notebook: it is not a JSON object");
        if (Number(notebook["nbformat"]) is not { } major) throw Fault(path, "is not a notebook: it has no nbformat");
        if (major != 4)
        {
            throw new KoalaException(path, $"has nbformat {major}, but Koala reads 4",
                "convert it: jupyter nbconvert --to notebook --nbformat 4");
        }
        if (Number(notebook["nbformat_minor"]) is null) throw Fault(path, "has no nbformat_minor");
        if (notebook["metadata"] is not (null or JsonObject)) throw Fault(path, "has metadata that is not a JSON object");
        notebook["metadata"] ??= new JsonObject();
        CheckMetadata(path, () => _ = CellLanguage.OfNotebook((JsonObject)notebook["metadata"]!));
        CheckMetadata(path, () => _ = CellLanguage.KernelOf((JsonObject)notebook["metadata"]!));
        if (notebook["cells"] is not JsonArray cells) throw Fault(path, "has no list of cells");
        CheckCells(path, cells);
        return notebook;
    }

    // Messages count code cells everywhere, and say where another cell is from there.
    private static void CheckCells(string path, JsonArray cells)
    {
        var (codeCells, others) = (0, 0);
        foreach (var cell in cells)
        {
            var isCode = cell is JsonObject json && IsString(json["cell_type"]) && json["cell_type"]!.ToString() == "code";
            (codeCells, others) = isCode ? (codeCells + 1, 0) : (codeCells, others + 1);
            CheckCell(isCode ? $"{path}, code cell {codeCells}"
                : codeCells == 0 ? $"{path}, cell {others}, before the first code cell"
                : $"{path}, cell {others} after code cell {codeCells}", cell);
        }
    }

    private static void CheckCell(string where, JsonNode? node)
    {
        if (node is not JsonObject cell) throw Fault(where, "is not a JSON object");
        if (!IsString(cell["cell_type"]) || !s_kinds.Contains(cell["cell_type"]!.ToString()))
            throw Fault(where, $"has the cell_type '{Excerpt.Of($"{cell["cell_type"]}")}', but code, markdown or raw is expected");
        if (!IsText(cell["source"])) throw Fault(where, "has no source: neither a string nor a list of strings");
        if (cell["metadata"] is not (null or JsonObject)) throw Fault(where, "has metadata that is not a JSON object");
        cell["metadata"] ??= new JsonObject();
        var metadata = (JsonObject)cell["metadata"]!;
        if (metadata["tags"] is { } tags && !(tags is JsonArray list && list.All(IsString)))
            throw Fault(where, "has tags that are not a list of strings");
        if (cell["cell_type"]!.ToString() != "code") return;
        CheckMetadata(where, () => _ = CellLanguage.OfCell(metadata));
        if (cell["outputs"] is not (null or JsonArray)) throw Fault(where, "has outputs that are not a list");
        cell["outputs"] ??= new JsonArray();
        if (!((JsonArray)cell["outputs"]!).All(output => output is JsonObject))
            throw Fault(where, "has an output that is not a JSON object");
    }

    // Reads the metadata as the program does later on.
    private static void CheckMetadata(string where, Action read)
    {
        try
        {
            read();
        }
        catch (FormatException e)
        {
            throw new KoalaException(where, $"has metadata of which {e.Message}", Fix, e);
        }
    }

    private static bool IsText(JsonNode? node) => IsString(node) || node is JsonArray lines && lines.All(IsString);

    private static bool IsString(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String;

    private static int? Number(JsonNode? node) => node is JsonValue value && value.TryGetValue(out int number) ? number : null;

    private static KoalaException Fault(string where, string fault) => new(where, fault, Fix);
}
