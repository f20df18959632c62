using System.Text.Json.Nodes;

namespace Koala.Kernel.Display;

/// <summary>Why a cell failed: the kind, the message, and the lines a reader sees.</summary>
internal sealed record CellError(string Name, string Message, IReadOnlyList<string> Traceback)
{
    /// <summary>As Jupyter writes it.</summary>
    public JsonObject ToJson() => new()
    {
        ["ename"] = Name,
        ["evalue"] = Message,
        ["traceback"] = new JsonArray([.. Traceback.Select(line => JsonValue.Create(line))]),
    };
}
