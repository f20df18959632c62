using System.Text.Json;
using System.Text.Unicode;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// Reads the small JSON files of a model folder. Each is an object in which no key occurs twice and all strings are valid.
/// </summary>
internal static class JsonFile
{
    private const string Fix = "get the file again";
    private static readonly JsonDocumentOptions s_options = new() { AllowDuplicateProperties = false };

    /// <param name="path">The file.</param>
    /// <param name="maxBytes">The largest number of bytes; a longer file is refused and not read.</param>
    internal static byte[] Read(string path, long maxBytes) => InputFile.Read(path, maxBytes);

    /// <param name="utf8">The file's bytes.</param>
    /// <param name="where">The file's name, for messages.</param>
    internal static JsonElement Parse(ReadOnlyMemory<byte> utf8, string where)
    {
        if (!Utf8.IsValid(utf8.Span)) throw new KoalaException(where, "is not valid UTF-8", Fix);
        try
        {
            using var document = JsonDocument.Parse(utf8, s_options);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new KoalaException(where, "is not a JSON object", Fix);
            ReadStrings(document.RootElement);
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            var lineNumber = e.LineNumber is { } line ? $", line {line + 1}" : "";
            throw new KoalaException($"{where}{lineNumber}", "is not valid JSON, or has a key twice", Fix, e);
        }
        catch (InvalidOperationException e)
        {
            throw new KoalaException(where, "contains a string with half a surrogate pair", Fix, e);
        }
    }

    // JSON may contain half a surrogate pair as an escape. System.Text.Json throws only when the string is read, so all are read here.
    private static void ReadStrings(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                {
                    _ = property.Name;
                    ReadStrings(property.Value);
                }
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray()) ReadStrings(item);
                break;
            case JsonValueKind.String:
                _ = element.GetString();
                break;
        }
    }
}
