using System.Buffers;
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
    private static readonly byte[] s_byteOrderMark = [0xef, 0xbb, 0xbf];

    /// <param name="path">The file.</param>
    /// <param name="maxBytes">The largest number of bytes; a longer file is refused and not read.</param>
    internal static byte[] Read(string path, long maxBytes) => InputFile.Read(path, maxBytes);

    /// <summary>
    /// Parses an object. A byte order mark is skipped. JSON has no infinity and no NaN, but Python writes them: they are
    /// read as strings, so that only a key that is used is refused for such a value.
    /// </summary>
    /// <param name="utf8">The file's bytes.</param>
    /// <param name="where">The file's name, for messages.</param>
    internal static JsonElement Parse(ReadOnlyMemory<byte> utf8, string where)
    {
        if (utf8.Span.StartsWith(s_byteOrderMark)) utf8 = utf8[s_byteOrderMark.Length..];
        if (utf8.Span is [0xff, 0xfe, ..] or [0xfe, 0xff, ..])
            throw new KoalaException(where, "is UTF-16, but UTF-8 is expected", "save the file as UTF-8");
        if (!Utf8.IsValid(utf8.Span)) throw new KoalaException(where, "is not valid UTF-8", Fix);
        utf8 = QuoteNumbersOfPython(utf8);
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
            throw new KoalaException($"{where}{lineNumber}", IsValid(utf8) ? "has a key twice" : "is not valid JSON", Fix, e);
        }
        catch (InvalidOperationException e)
        {
            throw new KoalaException(where, "contains a string with half a surrogate pair", Fix, e);
        }
    }

    // Whether the text is valid if a key may occur twice.
    private static bool IsValid(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            JsonDocument.Parse(utf8).Dispose();
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    // Puts quotes around Infinity, -Infinity and NaN where they are no part of a string.
    private static ReadOnlyMemory<byte> QuoteNumbersOfPython(ReadOnlyMemory<byte> text)
    {
        var utf8 = text.Span;
        // Most files have none, and a vocabulary has them as words.
        if (utf8.IndexOf("Infinity"u8) < 0 && utf8.IndexOf("NaN"u8) < 0) return text;
        var quoted = new ArrayBufferWriter<byte>(utf8.Length);
        var copied = 0;
        for (var i = 0; i < utf8.Length;)
        {
            var number = NumberOfPython(utf8[i..]);
            if (number == 0)
            {
                i += utf8[i] == (byte)'"' ? StringLength(utf8[i..]) : 1;
                continue;
            }
            quoted.Write(utf8[copied..i]);
            quoted.Write("\""u8);
            quoted.Write(utf8.Slice(i, number));
            quoted.Write("\""u8);
            copied = i += number;
        }
        quoted.Write(utf8[copied..]);
        return quoted.WrittenMemory;
    }

    // The length of the string that the text begins with, with its quotes.
    private static int StringLength(ReadOnlySpan<byte> utf8)
    {
        for (var i = 1; i < utf8.Length; i++)
        {
            if (utf8[i] == (byte)'"') return i + 1;
            if (utf8[i] == (byte)'\\') i++;
        }
        return utf8.Length;
    }

    // The length of the number of Python that the text begins with; 0 if it begins with none.
    private static int NumberOfPython(ReadOnlySpan<byte> utf8) => utf8 switch
    {
        [not ((byte)'I' or (byte)'-' or (byte)'N'), ..] => 0,
        _ when utf8.StartsWith("Infinity"u8) => "Infinity"u8.Length,
        _ when utf8.StartsWith("-Infinity"u8) => "-Infinity"u8.Length,
        _ when utf8.StartsWith("NaN"u8) => "NaN"u8.Length,
        _ => 0,
    };

    /// <summary>
    /// Reads all strings of an element. JSON may contain half a surrogate pair as an escape, and bytes that are not UTF-8; System.Text.Json
    /// throws only when such a string is read.
    /// </summary>
    /// <exception cref="InvalidOperationException">A string is no valid text.</exception>
    internal static void ReadStrings(JsonElement element)
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
