using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Koala.Kernel.Notebooks;

/// <summary>Adds the messages of the kernel to the cells, in the form of nbformat.</summary>
internal sealed class CellOutputs
{
    private readonly Dictionary<string, NotebookCell> _cells = [];
    private readonly Dictionary<string, List<JsonObject>> _displays = [];
    private readonly HashSet<NotebookCell> _clearNext = [];

    // The printed text that still grows. It becomes JSON once it is complete or about to be saved, not at every
    // message.
    private (NotebookCell Cell, string Name, StringBuilder Text, JsonObject Output)? _open;

    /// <summary>Registers the cell that a request runs.</summary>
    public void Begin(string request, NotebookCell cell) => _cells[request] = cell;

    /// <summary>
    /// Adds a message that the kernel published. Messages of a cell may still come after the cell has ended.
    /// </summary>
    public void Add(string request, string type, JsonObject content)
    {
        if (!_cells.TryGetValue(request, out var cell)) return;
        switch (type)
        {
            case "execute_input":
                cell.ExecutionCount = content["execution_count"]!.GetValue<int>();
                break;
            case "stream":
                AddText(cell, content["name"]!.ToString(), content["text"]!.ToString());
                break;
            case "display_data":
                AddDisplay(cell, content, new JsonObject
                {
                    ["output_type"] = type,
                    ["data"] = Data(content["data"]),
                    ["metadata"] = Metadata(content),
                });
                break;
            case "execute_result":
                AddDisplay(cell, content, new JsonObject
                {
                    ["output_type"] = type,
                    ["data"] = Data(content["data"]),
                    ["execution_count"] = content["execution_count"]?.DeepClone(),
                    ["metadata"] = Metadata(content),
                });
                break;
            case "update_display_data":
                foreach (var output in _displays.GetValueOrDefault(DisplayId(content) ?? "", [])) output["data"] = Data(content["data"]);
                break;
            case "clear_output":
                if (content["wait"]?.GetValue<bool>() == true) _clearNext.Add(cell);
                else Clear(cell);
                break;
            case "error":
                string[] traceback = [.. content["traceback"]!.AsArray().Select(line => line!.ToString())];
                AddError(cell, content["ename"]!.ToString(), content["evalue"]!.ToString(), traceback);
                break;
        }
    }

    public void AddError(NotebookCell cell, string name, string message, IReadOnlyList<string> traceback) => AddOutput(cell, new JsonObject
    {
        ["output_type"] = "error",
        ["ename"] = name,
        ["evalue"] = message,
        ["traceback"] = new JsonArray([.. traceback.Select(line => JsonValue.Create(line))]),
    });

    /// <summary>
    /// Writes the text that is still open into the JSON of its cell. It is called before the notebook is saved.
    /// </summary>
    public void FlushText()
    {
        if (_open is not var (_, _, text, output)) return;
        output["text"] = NotebookCell.Lines(text.ToString());
    }

    private void AddText(NotebookCell cell, string name, string text)
    {
        ClearIfDue(cell);
        var last = cell.Outputs.LastOrDefault();
        if (_open is not { } open || open.Cell != cell || open.Name != name || !ReferenceEquals(last, open.Output))
        {
            FlushText();
            var output = new JsonObject { ["output_type"] = "stream", ["name"] = name, ["text"] = new JsonArray() };
            cell.Outputs.Add(output);
            _open = open = (cell, name, new StringBuilder(), output);
        }
        open.Text.Append(text);
    }

    private void AddOutput(NotebookCell cell, JsonObject output)
    {
        ClearIfDue(cell);
        FlushText();
        _open = null;
        cell.Outputs.Add(output);
    }

    // An output with a display id can be updated by later messages.
    private void AddDisplay(NotebookCell cell, JsonObject content, JsonObject output)
    {
        AddOutput(cell, output);
        if (DisplayId(content) is not { } id) return;
        if (!_displays.TryGetValue(id, out var outputs)) _displays[id] = outputs = [];
        outputs.Add(output);
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

    private static string? DisplayId(JsonObject content) => content["transient"]?["display_id"]?.ToString();

    private static JsonNode Metadata(JsonObject content) => content["metadata"]?.DeepClone() ?? new JsonObject();

    // Text becomes a list of lines; JSON stays JSON.
    private static JsonObject Data(JsonNode? data)
    {
        var result = new JsonObject();
        foreach (var (mime, value) in data as JsonObject ?? [])
        {
            var isText = value is JsonValue && value.GetValueKind() == JsonValueKind.String;
            result[mime] = isText ? NotebookCell.Lines(value!.ToString()) : value?.DeepClone();
        }
        return result;
    }
}
