using System.Text.Json.Nodes;

namespace Koala.Kernel.Display;

/// <summary>Why a cell failed.</summary>
/// <param name="Name">The kind of error.</param>
/// <param name="Message">The message.</param>
/// <param name="Traceback">The lines that a reader sees.</param>
internal sealed record CellError(string Name, string Message, IReadOnlyList<string> Traceback)
{
    /// <summary>A mistake of the user, whose message is one line and says all; the frames of the kernel's own code do not help.</summary>
    public static CellError OfFault(Exception fault) => new(fault.GetType().Name, fault.Message, [fault.Message]);

    /// <summary>The error in the form of a Jupyter message.</summary>
    public JsonObject ToJson() => new()
    {
        ["ename"] = Name,
        ["evalue"] = Message,
        ["traceback"] = new JsonArray([.. Traceback.Select(line => JsonValue.Create(line))]),
    };
}
