using System.Text.Json;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Data;

/// <summary>
/// Reads a file with one JSON object per line; it is gzip where its name ends in .gz. Blank lines are skipped.
/// </summary>
internal static class JsonLines
{
    /// <summary>
    /// The rows with their line numbers, counted from 1. Each row is read when it is asked for, so whoever needs some rows only reads no
    /// others.
    /// </summary>
    /// <exception cref="KoalaException">
    /// The file cannot be read or holds no row, a line is not a JSON object or too long, or gzip data are damaged.
    /// </exception>
    public static IEnumerable<(int Line, JsonSection Row)> Read(string path)
    {
        using var lines = new TextLines(path);
        var any = false;
        while (lines.Next() is { } line)
        {
            if (line.Span.Trim(" \t\r"u8).IsEmpty) continue;
            any = true;
            var where = $"{path}:{lines.Number}";
            yield return (lines.Number, new JsonSection(Parse(line, where), where));
        }
        if (!any) throw new KoalaException(path, "is empty", "give a file with one JSON object per line");
    }

    private static JsonElement Parse(ReadOnlyMemory<byte> line, string where)
    {
        try
        {
            return JsonFile.Parse(line, where);
        }
        catch (KoalaException e)
        {
            // The inner exception counts lines within the line; the user needs the line of the file.
            throw new KoalaException(where, e.Fault, "correct the line: one JSON object", e.InnerException);
        }
    }
}
