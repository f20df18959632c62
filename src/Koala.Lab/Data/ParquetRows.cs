using System.Collections;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Files;
using Parquet;
using Parquet.Serialization;

namespace Koala.Lab.Data;

/// <summary>Reads the rows of a Parquet file as objects, one row group at a time. Columns may be lists of records, as chats are.</summary>
internal static class ParquetRows
{
    /// <summary>Whether a file begins as Parquet does.</summary>
    /// <exception cref="KoalaException">The file cannot be read.</exception>
    public static bool IsParquet(string path)
    {
        using var file = InputFile.Open(path);
        Span<byte> first = stackalloc byte[4];
        try
        {
            return file.ReadAtLeast(first, 4, throwOnEndOfStream: false) == 4 && first.SequenceEqual("PAR1"u8);
        }
        catch (IOException e)
        {
            throw InputFile.Unreadable(path, e);
        }
    }

    /// <summary>The rows with their numbers, counted from 1.</summary>
    /// <exception cref="KoalaException">The file is damaged, or has no rows.</exception>
    public static IEnumerable<(int Line, JsonSection Row)> Read(string path)
    {
        using var file = InputFile.Open(path);
        var groups = Wait(path, async () =>
        {
            ParquetCheck.Check(file);
            await using var reader = await ParquetReader.CreateAsync(file, leaveStreamOpen: true);
            return reader.RowGroupCount;
        });
        var number = 0;
        for (var group = 0; group < groups; group++)
        {
            var rows = Wait(path, () => ParquetSerializer.DeserializeUntypedAsync(file, rowGroupIndex: group));
            foreach (var row in rows.Data)
            {
                var json = JsonSerializer.SerializeToElement(ToJson(row));
                yield return (++number, new JsonSection(json, $"{path}, row {number}"));
            }
        }
        if (number == 0) throw new KoalaException(path, "has no rows", "give a file with one row for each chat or prompt");
    }

    private static T Wait<T>(string path, Func<Task<T>> work)
    {
        try
        {
            return work().GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is not (KoalaException or OutOfMemoryException))
        {
            // The library has no one type of exception for damaged files.
            throw new KoalaException(path, $"is no Parquet file that can be read ({MessageText.Text(e.Message.TrimEnd('.'))})",
                "get the file again", e);
        }
    }

    private static JsonNode? ToJson(object? value) => value switch
    {
        null => null,
        string text => JsonValue.Create(text),
        bool truth => JsonValue.Create(truth),
        int number => JsonValue.Create(number),
        long number => JsonValue.Create(number),
        double number => double.IsFinite(number) ? JsonValue.Create(number) : null,
        float number => float.IsFinite(number) ? JsonValue.Create(number) : null,
        IDictionary<string, object> record => new JsonObject(record.Select(item => KeyValuePair.Create(item.Key, ToJson(item.Value)))),
        IDictionary map => new JsonObject(map.Keys.Cast<object>().Select(key => KeyValuePair.Create($"{key}", ToJson(map[key])))),
        IEnumerable list and not byte[] => new JsonArray([.. list.Cast<object?>().Select(ToJson)]),
        IFormattable other => JsonValue.Create(other.ToString(null, CultureInfo.InvariantCulture)),
        _ => null,
    };
}
