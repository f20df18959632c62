using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Koala.Kernel.Notebooks;

/// <summary>Puts what the kernel says into the cells' outputs, as nbformat writes them.</summary>
internal sealed class CellOutputs
{
    private readonly Dictionary<string, NotebookCell> _cells = [];
    private readonly Dictionary<string, List<JsonObject>> _displays = [];
    private readonly HashSet<NotebookCell> _clearNext = [];

    // The growing end of a cell's printed text: joined when it is done, not at every piece.
    private (NotebookCell Cell, string Name, StringBuilder Text, JsonObject Output)? _open;

    /// <summary>Names the cell that a request runs.</summary>
    public void Begin(string request, NotebookCell cell) => _cells[request] = cell;

    /// <summary>Takes a message that the kernel published; a cell that ended may still speak.</summary>
    public void Take(string request, string type, JsonObject content)
    {
        if (!_cells.TryGetValue(request, out var cell)) return;
        switch (type)
        {
            case "stream":
                AddText(cell, content["name"]!.ToString(), content["text"]!.ToString());
                break;
            case "display_data":
                Remember(Add(cell, new JsonObject { ["output_type"] = type, ["data"] = Data(content["data"]), ["metadata"] = content["metadata"]?.DeepClone() ?? new JsonObject() }), content);
                break;
            case "execute_result":
                Remember(Add(cell, new JsonObject { ["output_type"] = type, ["data"] = Data(content["data"]), ["execution_count"] = content["execution_count"]?.DeepClone(), ["metadata"] = content["metadata"]?.DeepClone() ?? new JsonObject() }), content);
                break;
            case "update_display_data":
                foreach (var output in _displays.GetValueOrDefault(content["transient"]?["display_id"]?.ToString() ?? "", [])) output["data"] = Data(content["data"]);
                break;
            case "clear_output":
                if (content["wait"]?.GetValue<bool>() == true) _clearNext.Add(cell);
                else Clear(cell);
                break;
            case "error":
                AddError(cell, content["ename"]!.ToString(), content["evalue"]!.ToString(), [.. content["traceback"]!.AsArray().Select(line => line!.ToString())]);
                break;
        }
    }

    public void AddError(NotebookCell cell, string name, string message, IReadOnlyList<string> traceback) => Add(cell, new JsonObject
    {
        ["output_type"] = "error",
        ["ename"] = name,
        ["evalue"] = message,
        ["traceback"] = new JsonArray([.. traceback.Select(line => JsonValue.Create(line))]),
    });

    /// <summary>Brings the cells' JSON up to date, before it is written.</summary>
    public void Settle()
    {
        if (_open is not var (_, _, text, output)) return;
        output["text"] = NotebookCell.Lines(text.ToString());
    }

    private void AddText(NotebookCell cell, string name, string text)
    {
        ClearIfDue(cell);
        if (_open is not { } open || open.Cell != cell || open.Name != name || !ReferenceEquals(cell.Outputs.LastOrDefault(), open.Output))
        {
            Settle();
            var output = new JsonObject { ["output_type"] = "stream", ["name"] = name, ["text"] = new JsonArray() };
            cell.Outputs.Add(output);
            _open = open = (cell, name, new StringBuilder(), output);
        }
        open.Text.Append(text);
    }

    private JsonObject Add(NotebookCell cell, JsonObject output)
    {
        ClearIfDue(cell);
        Settle();
        _open = null;
        cell.Outputs.Add(output);
        return output;
    }

    private void ClearIfDue(NotebookCell cell)
    {
        if (_clearNext.Remove(cell)) Clear(cell);
    }

    private void Clear(NotebookCell cell)
    {
        if (_open?.Cell == cell) _open = null;
        cell.Outputs.Clear();
    }

    private void Remember(JsonObject output, JsonObject content)
    {
        if (content["transient"]?["display_id"]?.ToString() is not { } id) return;
        if (!_displays.TryGetValue(id, out var outputs)) _displays[id] = outputs = [];
        outputs.Add(output);
    }

    // Text in lines, JSON as JSON.
    private static JsonObject Data(JsonNode? data)
    {
        var result = new JsonObject();
        foreach (var (mime, value) in data as JsonObject ?? [])
            result[mime] = value is JsonValue text && text.GetValueKind() == JsonValueKind.String ? NotebookCell.Lines(text.ToString()) : value?.DeepClone();
        return result;
    }
}
