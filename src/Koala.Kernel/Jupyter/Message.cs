using System.Text.Json.Nodes;

namespace Koala.Kernel.Jupyter;

/// <summary>A message of the Jupyter protocol.</summary>
/// <param name="Identities">The receivers of a reply; on iopub, the topic of the message.</param>
/// <param name="Header">The type, id, session and user of the message.</param>
/// <param name="Parent">The header of the request that caused the message; empty if there is none.</param>
/// <param name="Content">The content, which depends on the type.</param>
/// <param name="Metadata">What is known about the message; of a cell to run, the metadata of the cell.</param>
internal sealed record Message(
    IReadOnlyList<byte[]> Identities, JsonObject Header, JsonObject Parent, JsonObject Content, JsonObject Metadata)
{
    public const string ProtocolVersion = "5.3";

    public string Type => Header["msg_type"]?.ToString() ?? "";

    public string Id => Header["msg_id"]?.ToString() ?? "";

    /// <summary>Creates a message of this process.</summary>
    public static Message New(
        string type, JsonObject content, string session, JsonObject? parent = null, IReadOnlyList<byte[]>? identities = null,
        JsonObject? metadata = null)
    {
        var header = new JsonObject
        {
            ["msg_id"] = Guid.NewGuid().ToString("N"),
            ["session"] = session,
            ["username"] = "koala",
            ["date"] = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ"),
            ["msg_type"] = type,
            ["version"] = ProtocolVersion,
        };
        return new Message(identities ?? [], header, (JsonObject?)parent?.DeepClone() ?? [], content, metadata ?? []);
    }
}
