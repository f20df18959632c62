using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Koala.Lab.Heads;

/// <summary>
/// Converts the options of registered kinds of head. The field <c>kind</c> holds the name; the options stand beside it.
/// </summary>
internal sealed class HeadOptionsJson : JsonConverter<HeadOptions>
{
    private const string KindField = "kind";

    public override HeadOptions Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var element = JsonElement.ParseValue(ref reader);
        if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(KindField, out var field)
            || field.ValueKind != JsonValueKind.String)
            throw new JsonException($"a head's options have no '{KindField}'");
        var name = field.GetString()!;
        var kind = HeadRegistry.Find(name)
            ?? throw new JsonException(
                $"the kind of head is '{MessageText.Text(name)}', but the registered kinds are {string.Join(", ", HeadRegistry.Names)}");
        return (HeadOptions?)element.Deserialize(kind.OptionsType, options) ?? throw new JsonException("a head's options are null");
    }

    public override void Write(Utf8JsonWriter writer, HeadOptions value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        writer.WriteString(KindField, value.Kind);
        foreach (var (name, node) in (JsonObject)JsonSerializer.SerializeToNode(value, value.GetType(), options)!)
        {
            writer.WritePropertyName(name);
            if (node is null) writer.WriteNullValue();
            else node.WriteTo(writer, options);
        }
        writer.WriteEndObject();
    }
}
