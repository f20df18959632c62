using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Lab;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel.Notebooks;

/// <summary>A notebook file in nbformat 4. JSON that Koala does not know is kept.</summary>
internal sealed partial class Notebook
{
    private static readonly string[] s_kernels = [".net-csharp", "koala-csharp"];
    private static readonly JsonWriterOptions s_jsonFormat = new()
    {
        Indented = true,
        IndentSize = 1,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = StrictJson.MaxDepth,
    };
    private static readonly JsonSerializerOptions s_oneLine = new() { Encoder = s_jsonFormat.Encoder, MaxDepth = StrictJson.MaxDepth };

    // The way to what an output holds in one mime type; null is any name or place in a list.
    private static readonly string?[] s_toMimeType = ["cells", null, "outputs", null, "data", null];

    private readonly JsonObject _json;

    private Notebook(string path, JsonObject json)
    {
        Path = path;
        _json = json;
        var language = CellLanguage.OfNotebook(Metadata);
        Cells = [.. ((JsonArray)json["cells"]!).Select(cell => new NotebookCell((JsonObject)cell!, language))];
    }

    public string Path { get; }

    public IReadOnlyList<NotebookCell> Cells { get; private set; }

    private JsonObject Metadata => (JsonObject)_json["metadata"]!;

    /// <summary>The first heading of the texts; without one, the name of the file.</summary>
    public string Title => Cells.Where(cell => cell.Kind == "markdown").Select(cell => MarkdownHtml.Title(cell.Source))
        .FirstOrDefault(title => title is not null) ?? System.IO.Path.GetFileNameWithoutExtension(Path);

    /// <exception cref="KoalaException">
    /// The file is not a notebook that Koala can run; the message says why.
    /// </exception>
    public static Notebook Read(string path) => new(path, DibFile.Is(path) ? DibFile.Read(path) : NotebookFile.Read(path));

    /// <summary>Checks that the notebook names a kernel that runs C#, or none, and that Koala runs the language of every cell.</summary>
    /// <exception cref="KoalaException">The notebook names another kernel, or a cell is in another language.</exception>
    public void CheckLanguages()
    {
        const string Otherwise = "run the notebook with the tools of that kernel";
        var kernel = CellLanguage.KernelOf(Metadata);
        if (kernel is not null && !s_kernels.Contains(kernel))
        {
            throw new KoalaException(Path, $"asks for the kernel '{Excerpt.Of(kernel)}', but Koala runs {string.Join(" and ", s_kernels)}",
                $"set the notebook's kernel to C#, or {Otherwise}");
        }
        foreach (var (index, cell) in Cells.Where(cell => cell.IsCode).Index())
        {
            if (cell.IsSkipped || cell.IsEmpty || CellLanguage.Known.Contains(cell.Language)) continue;
            throw new KoalaException($"{Path}, code cell {index + 1}",
                $"is in '{Excerpt.Of(cell.Language)}', but Koala runs {string.Join(", ", CellLanguage.Known)}",
                $"tag the cell {NotebookCell.SkipTag}, or {Otherwise}");
        }
    }

    /// <summary>Inserts a cell after another one, or at the start if that is null.</summary>
    public void InsertAfter(NotebookCell? previous, NotebookCell cell)
    {
        var cells = Cells.ToList();
        var index = previous is null ? 0 : cells.IndexOf(previous) + 1;
        cells.Insert(index, cell);
        Cells = cells;
        ((JsonArray)_json["cells"]!).Insert(index, cell.Json);
    }

    public void Remove(NotebookCell cell)
    {
        Cells = [.. Cells.Where(c => c != cell)];
        ((JsonArray)_json["cells"]!).Remove(cell.Json);
    }

    /// <summary>
    /// Removes the outputs of all cells that will run, and raises the version of the file to 4.5, which gives every cell an id.
    /// </summary>
    public void Clear()
    {
        _json["nbformat_minor"] = Math.Max(5, _json["nbformat_minor"]!.GetValue<int>());
        var ids = new HashSet<string>();
        var number = 0;
        foreach (var cell in Cells)
        {
            number++;
            if (cell.Json["id"]?.ToString() is not { } id || !Id().IsMatch(id) || !ids.Add(id))
            {
                // Ids are counted and not random, so that the same notebook gives the same file.
                while (!ids.Add(id = $"cell-{number}")) number += Cells.Count;
                cell.Json["id"] = id;
            }
            if (!cell.IsCode || cell.IsSkipped) continue;
            cell.Json["outputs"] = new JsonArray();
            cell.Json["execution_count"] = null;
        }
    }

    /// <summary>Writes the notebook to a file. If that fails, an existing file stays as it is.</summary>
    /// <exception cref="KoalaException">The file cannot be written.</exception>
    public void Write(string path) => AtomicFile.Write(path, WriteTo);

    /// <summary>
    /// Writes the notebook as JSON. Each figure is in one line: a line for each of its numbers would make a notebook a third longer.
    /// </summary>
    public void WriteTo(Stream stream)
    {
        using (var writer = new Utf8JsonWriter(stream, s_jsonFormat)) Write(writer, _json, s_toMimeType);
        stream.WriteByte((byte)'\n');
    }

    private static void Write(Utf8JsonWriter writer, JsonNode? node, ReadOnlySpan<string?> way)
    {
        if (node is JsonObject && way is []) writer.WriteRawValue(node.ToJsonString(s_oneLine));
        else if (node is JsonObject parts && way is [var step, .. var behind])
        {
            writer.WriteStartObject();
            foreach (var (name, part) in parts)
            {
                writer.WritePropertyName(name);
                if (step is null || step == name) Write(writer, part, behind);
                else WriteIndented(writer, part);
            }
            writer.WriteEndObject();
        }
        else if (node is JsonArray list && way is [null, .. var inside])
        {
            writer.WriteStartArray();
            foreach (var part in list) Write(writer, part, inside);
            writer.WriteEndArray();
        }
        else WriteIndented(writer, node);
    }

    private static void WriteIndented(Utf8JsonWriter writer, JsonNode? node)
    {
        if (node is null) writer.WriteNullValue();
        else node.WriteTo(writer);
    }

    [GeneratedRegex("^[a-zA-Z0-9-_]{1,64}$")]
    private static partial Regex Id();
}
