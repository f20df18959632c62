using System.Net;
using System.Text.Json;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>The hub's answer to a request that sends something.</summary>
/// <param name="Status">The status.</param>
/// <param name="Body">The body.</param>
internal sealed record HubAnswer(HttpStatusCode Status, ReadOnlyMemory<byte> Body)
{
    /// <summary>What the hub says is wrong; null if the body does not say it.</summary>
    public string? Error
    {
        get
        {
            try
            {
                using var json = JsonDocument.Parse(Body);
                return json.RootElement.ValueKind == JsonValueKind.Object
                    && (json.RootElement.TryGetProperty("error", out var text) || json.RootElement.TryGetProperty("message", out text))
                    && text.ValueKind == JsonValueKind.String ? text.GetString() : null;
            }
            catch (JsonException)
            {
                // A proxy answers with a page: its status says enough.
                return null;
            }
        }
    }

    /// <summary>Parses the body as an object.</summary>
    /// <param name="where">The name of the answer, for messages.</param>
    /// <exception cref="KoalaException">It is no JSON object.</exception>
    public JsonElement Parse(string where) => JsonFile.Parse(Body, where);
}
