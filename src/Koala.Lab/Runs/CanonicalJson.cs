using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Koala.Lab.Runs;

/// <summary>
/// JSON in one form for one meaning: without spaces, the keys of each object in order. Numbers stay as they are written.
/// </summary>
internal static class CanonicalJson
{
    /// <summary>The SHA-256 of a value's canonical form in UTF-8, in lower-case hexadecimal digits.</summary>
    public static string Hash(JsonNode value)
    {
        using var memory = new MemoryStream();
        using (var writer = new Utf8JsonWriter(memory)) Write(writer, value);
        return Convert.ToHexStringLower(SHA256.HashData(memory.GetBuffer().AsSpan(0, (int)memory.Length)));
    }

    private static void Write(Utf8JsonWriter writer, JsonNode? value)
    {
        switch (value)
        {
            case JsonObject fields:
                writer.WriteStartObject();
                foreach (var (name, field) in fields.OrderBy(field => field.Key, StringComparer.Ordinal))
                {
                    writer.WritePropertyName(name);
                    Write(writer, field);
                }
                writer.WriteEndObject();
                break;
            case JsonArray items:
                writer.WriteStartArray();
                foreach (var item in items) Write(writer, item);
                writer.WriteEndArray();
                break;
            case null:
                writer.WriteNullValue();
                break;
            default:
                value.WriteTo(writer);
                break;
        }
    }
}
