using System.Text.Json;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Data;

/// <summary>Reads a file that is one JSON array of objects, element by element.</summary>
internal static class JsonArrayFile
{
    private static readonly JsonSerializerOptions s_options = new() { AllowDuplicateProperties = false };

    /// <summary>Whether a file begins with a bracket.</summary>
    /// <exception cref="KoalaException">The file cannot be read.</exception>
    public static bool IsArray(string path)
    {
        using var stream = new UnpackedStream(path);
        for (var value = stream.ReadByte(); value >= 0; value = stream.ReadByte())
            // White space, and the bytes of a byte-order mark.
            if (value is not (' ' or '\t' or '\r' or '\n' or 0xef or 0xbb or 0xbf)) return value == '[';
        return false;
    }

    /// <summary>The objects with their numbers, counted from 1.</summary>
    /// <exception cref="KoalaException">The file cannot be read, is no array of objects, or is empty.</exception>
    public static IEnumerable<(int Line, JsonSection Row)> Read(string path)
    {
        using var stream = new UnpackedStream(path);
        using var elements = JsonSerializer.DeserializeAsyncEnumerable<JsonElement>(stream, s_options)
            .ToBlockingEnumerable().GetEnumerator();
        var number = 0;
        while (MoveNext(elements, path, number + 1))
        {
            var where = $"{path}, element {++number}";
            CheckStrings(elements.Current, where);
            yield return elements.Current.ValueKind == JsonValueKind.Object
                ? (number, new JsonSection(elements.Current, where))
                : throw new KoalaException(where, $"is {MessageText.Text(elements.Current.GetRawText())}, but an object is expected",
                    "give an array of objects, one for each chat or prompt");
        }
        if (number == 0) throw new KoalaException(path, "is an empty array", "give it one object for each chat or prompt");
    }

    private static void CheckStrings(JsonElement element, string where)
    {
        try
        {
            JsonFile.ReadStrings(element);
        }
        catch (InvalidOperationException e)
        {
            throw new KoalaException(where, "contains a string that is not valid UTF-8, or has half a surrogate pair",
                "correct the element", e);
        }
    }

    private static bool MoveNext(IEnumerator<JsonElement> elements, string path, int number)
    {
        try
        {
            return elements.MoveNext();
        }
        catch (JsonException e)
        {
            throw new KoalaException($"{path}, element {number}",
                $"is not valid JSON, or has a key twice, at this element or after it ({MessageText.Text(e.Message.TrimEnd('.'))})",
                "get the file again, or correct it: an array of objects, or one object per line", e);
        }
    }
}
