using ICSharpCode.SharpZipLib.GZip;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Data;

/// <summary>
/// Writes a file with one JSON object per line; it is gzip where its name ends in .gz. The same lines give the same
/// bytes.
/// </summary>
internal static class JsonLinesWriter
{
    private const int BestCompression = 9;

    /// <exception cref="KoalaException">The file cannot be written; nothing is left behind.</exception>
    public static void Write(string path, IEnumerable<string> lines) => AtomicFile.Write(path, stream =>
    {
        if (!path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
        {
            WriteLines(stream, lines);
            return;
        }
        // The header's time is fixed, so that the bytes do not depend on the clock.
        using var gzip = new GZipOutputStream(stream) { IsStreamOwner = false, ModifiedTime = DateTime.UnixEpoch };
        gzip.SetLevel(BestCompression);
        WriteLines(gzip, lines);
    });

    private static void WriteLines(Stream stream, IEnumerable<string> lines)
    {
        using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
        foreach (var line in lines) writer.WriteLine(line);
    }
}
