using System.Text.Json.Nodes;

namespace Koala.Kernel.Jupyter;

/// <summary>A message of the Jupyter protocol.</summary>
/// <param name="Identities">Whom a reply goes to; for iopub its topic.</param>
/// <param name="Header">Kind, id, session and user.</param>
/// <param name="Parent">The header of the request that caused it; empty where there is none.</param>
/// <param name="Content">What the kind says.</param>
internal sealed record Message(IReadOnlyList<byte[]> Identities, JsonObject Header, JsonObject Parent, JsonObject Content)
{
    public const string ProtocolVersion = "5.3";

    public string Type => Header["msg_type"]?.ToString() ?? "";

    public string Id => Header["msg_id"]?.ToString() ?? "";

    /// <summary>A message of this process.</summary>
    public static Message New(string type, JsonObject content, string session, JsonObject? parent = null, IReadOnlyList<byte[]>? identities = null) => new(identities ?? [], new JsonObject
    {
        ["msg_id"] = Guid.NewGuid().ToString("N"),
        ["session"] = session,
        ["username"] = "koala",
        ["date"] = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ"),
        ["msg_type"] = type,
        ["version"] = ProtocolVersion,
    }, (JsonObject?)parent?.DeepClone() ?? [], content);
}
