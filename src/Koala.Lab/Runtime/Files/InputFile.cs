using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Koala.Lab.Runtime.Files;

/// <summary>
/// Opens files that somebody else wrote. Whatever stands in the way is one error: there is no such file, it may not be read, it is too
/// long, or it is no file but a folder, a pipe, a device or a socket.
/// </summary>
/// <remarks>
/// A pipe is refused before it is opened, since opening one waits for its writer, and since Koala reads input files more than once: it
/// also hashes them.
/// </remarks>
public static partial class InputFile
{
    private const string Pipe = "a pipe";
    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // struct statx has one layout on all architectures.
    private const int StatusLength = 256;
    private const int ModeOffset = 28;       // stx_mode
    private const int TypeBits = 0xf000;     // S_IFMT
    private const int CurrentFolder = -100;  // AT_FDCWD
    private const uint TypeOnly = 1;         // STATX_TYPE

    /// <summary>Opens a file for reading. Other processes may read it at the same time.</summary>
    /// <exception cref="KoalaException">It cannot be opened, or it is not a file.</exception>
    public static FileStream Open(string path) => Open(path, FileShare.Read);

    /// <summary>Reads a whole file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maxBytes">The largest number of bytes; a longer file is refused and not read.</param>
    /// <param name="fix">What the message about a longer file proposes.</param>
    /// <exception cref="KoalaException">It cannot be read, it is not a file, or it is too long.</exception>
    public static byte[] Read(string path, long maxBytes, string fix = "get the file again")
    {
        using var stream = Open(path);
        try
        {
            if (stream.Length > maxBytes)
                throw new KoalaException(path, $"has {stream.Length} bytes, but at most {maxBytes} are expected", fix);
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (IOException e)
        {
            throw Unreadable(path, e);
        }
    }

    /// <summary>
    /// Reads a whole file of text in UTF-8, or in UTF-16 where it begins with a byte-order mark that says so. The mark is left out.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="maxBytes">The largest number of bytes; a longer file is refused and not read.</param>
    /// <exception cref="KoalaException">It cannot be read, it is not a file, it is too long, or its text is not valid.</exception>
    public static string ReadText(string path, long maxBytes)
    {
        var bytes = Read(path, maxBytes);
        var utf16 = Utf16Of(bytes);
        try
        {
            return (utf16 ?? s_utf8).GetString(bytes).TrimStart('\ufeff');
        }
        catch (DecoderFallbackException e)
        {
            throw new KoalaException(path, $"is not valid {(utf16 is null ? "UTF-8" : "UTF-16")}",
                "save it as UTF-8, or get the file again", e);
        }
    }

    /// <summary>The encoding of a text that begins with UTF-16's byte-order mark; null for any other beginning.</summary>
    /// <param name="first">The first bytes of the text; two are enough.</param>
    internal static Encoding? Utf16Of(ReadOnlySpan<byte> first)
    {
        var isBigEndian = first.StartsWith((ReadOnlySpan<byte>)[0xfe, 0xff]);
        return isBigEndian || first.StartsWith((ReadOnlySpan<byte>)[0xff, 0xfe])
            ? new UnicodeEncoding(isBigEndian, byteOrderMark: false, throwOnInvalidBytes: true)
            : null;
    }

    /// <param name="path">The file.</param>
    /// <param name="share">What other processes may do with the file at the same time.</param>
    /// <exception cref="KoalaException">It cannot be opened, or it is not a file.</exception>
    internal static FileStream Open(string path, FileShare share)
    {
        CheckKind(path);
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, share);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new KoalaException(path, "does not exist", "check the path", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // The last one is for a path that no file can have.
            throw Unreadable(path, e);
        }
    }

    /// <summary>The SHA-256 of a file, in lower-case hexadecimal digits.</summary>
    /// <exception cref="KoalaException">It cannot be read, or it is not a file.</exception>
    internal static string Sha256(string path)
    {
        using var stream = Open(path);
        try
        {
            return Convert.ToHexStringLower(SHA256.HashData(stream));
        }
        catch (IOException e)
        {
            throw Unreadable(path, e);
        }
    }

    /// <summary>Refuses what is there but is not a file.</summary>
    /// <exception cref="KoalaException">It is a folder, a pipe, a device or a socket.</exception>
    internal static void CheckKind(string path)
    {
        if (KindOf(path) is { } kind)
            throw new KoalaException(path, $"is {kind}, but a file is expected",
                kind == Pipe ? "write what it delivers to a file, and name that file" : "name a file");
    }

    /// <summary>Creates the exception for a file that cannot be read.</summary>
    internal static KoalaException Unreadable(string path, Exception e) =>
        new(path, $"cannot be read ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})", "check the path and its permissions", e);

    // Null for a file, and for what is not there. .NET does not tell a pipe from a file; outside Linux it is left to the reader.
    private static string? KindOf(string path)
    {
        if (Directory.Exists(path)) return "a folder";
        if (!OperatingSystem.IsLinux()) return null;
        var status = new byte[StatusLength];
        if (Status(CurrentFolder, path, flags: 0, TypeOnly, status) != 0) return null;
        return (BitConverter.ToUInt16(status, ModeOffset) & TypeBits) switch
        {
            0x1000 => Pipe,
            0x2000 or 0x6000 => "a device",
            0xc000 => "a socket",
            _ => null,
        };
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Status(int folder, string path, int flags, uint mask, [Out] byte[] status);
}
