using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace Koala.Kernel;

/// <summary>
/// Parses JSON of other programs. What would fail only when it is used (a key twice, half a surrogate pair) is refused here.
/// </summary>
/// <remarks>
/// Messages are parsed while the kernel starts, so this does not use the library's reader; <see cref="Fault"/> says why.
/// </remarks>
internal static class StrictJson
{
    /// <summary>The deepest nesting that is read and written.</summary>
    public const int MaxDepth = 200;

    private static readonly JsonDocumentOptions s_options = new() { AllowDuplicateProperties = false, MaxDepth = MaxDepth };

    /// <exception cref="JsonException">
    /// The bytes are not one JSON value in UTF-8 whose keys are unique and whose strings are valid.
    /// </exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> utf8)
    {
        if (!Utf8.IsValid(utf8)) throw new JsonException("It is not valid UTF-8.");
        CheckStrings(utf8);
        return JsonNode.Parse(utf8, documentOptions: s_options);
    }

    // Half a surrogate pair can only be written as an escape, and the reader throws only when the string is read.
    private static void CheckStrings(ReadOnlySpan<byte> utf8)
    {
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (!reader.ValueIsEscaped || reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName)) continue;
            try
            {
                _ = reader.GetString();
            }
            catch (InvalidOperationException e)
            {
                throw new JsonException("A string has half a surrogate pair.", e);
            }
        }
    }
}
