using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Koala.Lab.Runtime.Files;

/// <summary>
/// How Koala writes and reads JSON: names in camelCase, enums as words in camelCase, characters without needless escapes. JSON has
/// no NaN and no infinity: both are written as null, and null is read as NaN.
/// </summary>
public static class JsonFormat
{
    /// <summary>Indented JSON, for files that people open.</summary>
    public static JsonSerializerOptions Document { get; } = Create(indented: true);

    /// <summary>JSON in one line, for JSON Lines.</summary>
    public static JsonSerializerOptions Line { get; } = Create(indented: false);

    private static JsonSerializerOptions Create(bool indented)
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            WriteIndented = indented,
            // The files are never put into HTML unescaped, and "+" in a version should be readable as "+".
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            // A property that occurs twice is a mistake; a string is not a number; case matters.
            AllowDuplicateProperties = false,
            NumberHandling = JsonNumberHandling.Strict,
            PropertyNameCaseInsensitive = false,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            Converters =
            {
                new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false),
                new FiniteOrNull(),
            },
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
