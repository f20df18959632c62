using System.Text;
using ICSharpCode.SharpZipLib;
using ICSharpCode.SharpZipLib.GZip;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Data;

/// <summary>
/// Reads a file with one JSON object per line; it is gzip where its name ends in .gz. Blank lines are skipped.
/// </summary>
internal static class JsonLines
{
    /// <summary>The rows with their line numbers, counted from 1.</summary>
    /// <exception cref="KoalaException">
    /// The file cannot be read or holds no row, or a line is not a JSON object.
    /// </exception>
    public static IEnumerable<(int Line, JsonSection Row)> Read(string path)
    {
        var any = false;
        var number = 0;
        foreach (var line in Lines(path))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            any = true;
            yield return (number, new JsonSection(Parse(line, $"{path}:{number}"), $"{path}:{number}"));
        }
        if (!any) throw new KoalaException(path, "is empty", "give a file with one JSON object per line");
    }

    private static IEnumerable<string> Lines(string path)
    {
        using var reader = Open(path);
        while (true)
        {
            string? line;
            try
            {
                line = reader.ReadLine();
            }
            catch (Exception e) when (e is IOException or SharpZipBaseException or UnauthorizedAccessException)
            {
                throw Unreadable(path, e);
            }
            catch (DecoderFallbackException e)
            {
                throw new KoalaException(path, "is not valid UTF-8", "save it as UTF-8", e);
            }
            if (line is null) yield break;
            yield return line;
        }
    }

    private static StreamReader Open(string path)
    {
        try
        {
            Stream stream = File.OpenRead(path);
            if (path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)) stream = new GZipInputStream(stream);
            var strict = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
            return new StreamReader(stream, strict);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(path, e);
        }
    }

    private static System.Text.Json.JsonElement Parse(string line, string where)
    {
        try
        {
            return JsonFile.Parse(Encoding.UTF8.GetBytes(line), where);
        }
        catch (KoalaException e)
        {
            if (OtherFormats.Array(line, where) is { } array) throw array;
            // The inner exception counts lines within the line; the user needs the line of the file.
            throw new KoalaException(where, e.Fault, "correct the line: one JSON object", e.InnerException);
        }
    }

    private static KoalaException Unreadable(string path, Exception e) => new(
        path, $"cannot be read ({e.Message.TrimEnd('.')})", "check the path and its permissions, or get the file again", e);
}
