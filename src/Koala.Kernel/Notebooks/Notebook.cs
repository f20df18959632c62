using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Lab;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel.Notebooks;

/// <summary>A notebook file, nbformat 4. What it holds beyond what Koala knows is kept.</summary>
internal sealed partial class Notebook
{
    private static readonly string[] s_kernels = [".net-csharp", "koala-csharp"];
    private static readonly string[] s_kinds = ["code", "markdown", "raw"];

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

    /// <exception cref="KoalaException">The file is no notebook that Koala runs; the line says why.</exception>
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
            throw new KoalaException(path, $"is no JSON ({e.Message.Split('.')[0]})", "give a Jupyter notebook (.ipynb)", e);
        }
        return new Notebook(path, Checked(path, json));
    }

    /// <summary>The kernel it asks for is one that runs C#, or it names none.</summary>
    /// <exception cref="KoalaException">It is another language's.</exception>
    public void CheckKernel()
    {
        var kernel = _json["metadata"]?["kernelspec"]?["name"]?.ToString();
        if (kernel is null || s_kernels.Contains(kernel)) return;
        throw new KoalaException(Path, $"asks for the kernel '{kernel}', but Koala runs {string.Join(" and ", s_kernels)}", "set the notebook's kernel to C#, or run it with that kernel's own tools");
    }

    /// <summary>Puts a cell behind another.</summary>
    public void InsertAfter(NotebookCell? before, NotebookCell cell)
    {
        var cells = Cells.ToList();
        var index = before is null ? 0 : cells.IndexOf(before) + 1;
        cells.Insert(index, cell);
        Cells = cells;
        ((JsonArray)_json["cells"]!).Insert(index, cell.Json);
    }

    public void Remove(NotebookCell cell)
    {
        Cells = [.. Cells.Where(c => c != cell)];
        ((JsonArray)_json["cells"]!).Remove(cell.Json);
    }

    /// <summary>Forgets all outputs, and makes the file one of version 4.5: every cell gets an id.</summary>
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
                // Counted, not random: the same notebook gives the same file.
                while (!ids.Add(id = $"cell-{number}")) number += Cells.Count;
                cell.Json["id"] = id;
            }
            if (!cell.IsCode) continue;
            cell.Json["outputs"] = new JsonArray();
            cell.Json["execution_count"] = null;
        }
    }

    /// <summary>Writes it, complete or not at all.</summary>
    /// <exception cref="KoalaException">The file cannot be written.</exception>
    public void Write(string path) => AtomicFile.Write(path, stream =>
    {
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, IndentSize = 1, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 200 }))
            _json.WriteTo(writer);
        stream.WriteByte((byte)'\n');
    });

    private static JsonObject Checked(string path, JsonNode? json)
    {
        if (json is not JsonObject notebook) throw Fault(path, "is no notebook: it is not a JSON object");
        if (Number(notebook["nbformat"]) is not { } major) throw Fault(path, "is no notebook: it has no nbformat");
        if (major != 4) throw new KoalaException(path, $"has nbformat {major}, but Koala reads 4", "convert it: jupyter nbconvert --to notebook --nbformat 4");
        if (Number(notebook["nbformat_minor"]) is null) throw Fault(path, "has no nbformat_minor");
        if (notebook["metadata"] is not (null or JsonObject)) throw Fault(path, "has metadata that is no JSON object");
        notebook["metadata"] ??= new JsonObject();
        if (notebook["cells"] is not JsonArray cells) throw Fault(path, "has no list of cells");
        for (var i = 0; i < cells.Count; i++) CheckCell(path, i + 1, cells[i]);
        return notebook;
    }

    private static void CheckCell(string path, int number, JsonNode? node)
    {
        if (node is not JsonObject cell) throw Fault(path, $"cell {number} is no JSON object");
        if (cell["cell_type"] is not JsonValue kind || !s_kinds.Contains(kind.ToString())) throw Fault(path, $"cell {number} has the cell_type '{cell["cell_type"]}', but it is code, markdown or raw");
        if (cell["source"] is not (JsonValue or JsonArray) || cell["source"] is JsonArray lines && lines.Any(line => line is not JsonValue)) throw Fault(path, $"cell {number} has no source");
        if (cell["metadata"] is not (null or JsonObject)) throw Fault(path, $"cell {number} has metadata that is no JSON object");
        cell["metadata"] ??= new JsonObject();
        if (kind.ToString() == "code" && cell["outputs"] is not (null or JsonArray)) throw Fault(path, $"cell {number} has outputs that are no list");
    }

    private static int? Number(JsonNode? node) => node is JsonValue value && value.TryGetValue(out int number) ? number : null;

    private static KoalaException Fault(string path, string fault) => new(path, fault, "give a Jupyter notebook (.ipynb), or save it anew in Jupyter");

    [GeneratedRegex("^[a-zA-Z0-9-_]{1,64}$")]
    private static partial Regex Id();
}
