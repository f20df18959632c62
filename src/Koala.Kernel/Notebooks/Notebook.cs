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
    private static readonly string[] s_kinds = ["code", "markdown", "raw"];
    private static readonly JsonWriterOptions s_jsonFormat = new()
    {
        Indented = true,
        IndentSize = 1,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = 200,
    };

    private readonly JsonObject _json;

    private Notebook(string path, JsonObject json)
    {
        Path = path;
        _json = json;
        Cells = [.. ((JsonArray)json["cells"]!).Select(cell => new NotebookCell((JsonObject)cell!))];
    }

    public string Path { get; }

    public IReadOnlyList<NotebookCell> Cells { get; private set; }

    public string Title => System.IO.Path.GetFileNameWithoutExtension(Path);

    /// <exception cref="KoalaException">
    /// The file is not a notebook that Koala can run; the message says why.
    /// </exception>
    public static Notebook Read(string path)
    {
        JsonNode? json;
        try
        {
            using var file = File.OpenRead(path);
            json = JsonNode.Parse(file, documentOptions: new JsonDocumentOptions { MaxDepth = 200 });
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new KoalaException(path, "does not exist", "check the path", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read ({e.Message.TrimEnd('.')})", "make the file readable", e);
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new KoalaException(path, $"is not valid JSON ({e.Message.Split('.')[0]})", "give a Jupyter notebook (.ipynb)", e);
        }
        return new Notebook(path, Checked(path, json));
    }

    /// <summary>Checks that the notebook names a kernel that runs C#, or none.</summary>
    /// <exception cref="KoalaException">The notebook names another kernel.</exception>
    public void CheckKernel()
    {
        var kernel = _json["metadata"]?["kernelspec"]?["name"]?.ToString();
        if (kernel is null || s_kernels.Contains(kernel)) return;
        throw new KoalaException(Path, $"asks for the kernel '{kernel}', but Koala runs {string.Join(" and ", s_kernels)}",
            "set the notebook's kernel to C#, or run the notebook with the tools of that kernel");
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

    /// <summary>Removes all outputs, and raises the version of the file to 4.5, which gives every cell an id.</summary>
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
            if (!cell.IsCode) continue;
            cell.Json["outputs"] = new JsonArray();
            cell.Json["execution_count"] = null;
        }
    }

    /// <summary>Writes the notebook to a file. If that fails, an existing file stays as it is.</summary>
    /// <exception cref="KoalaException">The file cannot be written.</exception>
    public void Write(string path) => AtomicFile.Write(path, stream =>
    {
        using (var writer = new Utf8JsonWriter(stream, s_jsonFormat)) _json.WriteTo(writer);
        stream.WriteByte((byte)'\n');
    });

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
        if (notebook["cells"] is not JsonArray cells) throw Fault(path, "has no list of cells");
        for (var i = 0; i < cells.Count; i++) CheckCell(path, i + 1, cells[i]);
        return notebook;
    }

    private static void CheckCell(string path, int number, JsonNode? node)
    {
        if (node is not JsonObject cell) throw Fault(path, $"cell {number} is not a JSON object");
        if (cell["cell_type"] is not JsonValue kind || !s_kinds.Contains(kind.ToString()))
            throw Fault(path, $"cell {number} has the cell_type '{cell["cell_type"]}', but code, markdown or raw is expected");
        if (!IsText(cell["source"])) throw Fault(path, $"cell {number} has no source");
        if (cell["metadata"] is not (null or JsonObject)) throw Fault(path, $"cell {number} has metadata that is not a JSON object");
        cell["metadata"] ??= new JsonObject();
        if (kind.ToString() == "code" && cell["outputs"] is not (null or JsonArray))
            throw Fault(path, $"cell {number} has outputs that are not a list");
    }

    private static bool IsText(JsonNode? node) => node is JsonValue || node is JsonArray lines && lines.All(line => line is JsonValue);

    private static int? Number(JsonNode? node) => node is JsonValue value && value.TryGetValue(out int number) ? number : null;

    private static KoalaException Fault(string path, string fault) =>
        new(path, fault, "give a Jupyter notebook (.ipynb), or save it again in Jupyter");

    [GeneratedRegex("^[a-zA-Z0-9-_]{1,64}$")]
    private static partial Regex Id();
}
