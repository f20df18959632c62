using System.IO.Compression;
using System.Text;

namespace Koala.Lab.Runtime.Files;

/// <summary>The text files that the library embeds.</summary>
internal static class EmbeddedFile
{
    /// <summary>The text of a file; one whose name ends in .gz is decompressed.</summary>
    public static string Read(string name)
    {
        using var file = typeof(EmbeddedFile).Assembly.GetManifestResourceStream(name)!;
        using var stream = Path.GetExtension(name) == ".gz" ? new GZipStream(file, CompressionMode.Decompress) : file;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
