using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Koala.Lab.Runtime.Files;

/// <summary>How Koala writes and reads JSON: camelCase names, enums as camelCase words, characters as they are. JSON has no NaN and no infinity: both become null, and null is read as NaN.</summary>
public static class JsonFormat
{
    /// <summary>Indented, for files that people open.</summary>
    public static JsonSerializerOptions Document { get; } = Make(indented: true);

    /// <summary>One line, for JSON Lines.</summary>
    public static JsonSerializerOptions Line { get; } = Make(indented: false);

    private static JsonSerializerOptions Make(bool indented)
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            WriteIndented = indented,
            // The files are not put into HTML as they are, and "+" in a version is to be read as "+".
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            // What is written twice was written by mistake; a string is no number; case matters.
            AllowDuplicateProperties = false,
            NumberHandling = JsonNumberHandling.Strict,
            PropertyNameCaseInsensitive = false,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false), new FiniteOrNull() },
        };
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }

    private sealed class FiniteOrNull : JsonConverter<double>
    {
        public override bool HandleNull => true;

        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.Null ? double.NaN : reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value)) writer.WriteNumberValue(value);
            else writer.WriteNullValue();
        }
    }
}
