using Koala.Lab.Runtime.Files;
using Microsoft.Win32.SafeHandles;

namespace Koala.Lab.Checkpoints;

/// <summary>Opens files of weights and reads from them. Errors are reported in one line.</summary>
internal static class FileBytes
{
    /// <summary>Opens a file for reading at any offset, from several threads.</summary>
    /// <exception cref="KoalaException">The file cannot be opened, or it has no length.</exception>
    internal static (SafeFileHandle File, long Length) Open(string path)
    {
        InputFile.CheckKind(path);
        SafeFileHandle? file = null;
        try
        {
            file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            return (file, RandomAccess.GetLength(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            // A pipe or a device has no length, which is a NotSupportedException.
            file?.Dispose();
            throw new KoalaException(path, $"cannot be opened ({e.Message.TrimEnd('.')})", "check the path and its permissions", e);
        }
    }

    /// <summary>Fills all of <paramref name="bytes"/> with the file's bytes from <paramref name="offset"/> on.</summary>
    /// <param name="file">The open file.</param>
    /// <param name="bytes">The memory to fill.</param>
    /// <param name="offset">The offset in the file.</param>
    /// <param name="item">What the bytes belong to, for messages: the file's path and, for example, the tensor's name.</param>
    /// <exception cref="KoalaException">The file is too short, or it cannot be read.</exception>
    internal static void Fill(SafeFileHandle file, Span<byte> bytes, long offset, string item)
    {
        while (!bytes.IsEmpty)
        {
            int count;
            try
            {
                count = RandomAccess.Read(file, bytes, offset);
            }
            catch (IOException e)
            {
                throw new KoalaException($"{item}, byte {offset}", $"cannot be read ({e.Message.TrimEnd('.')})", "check the disk", e);
            }
            if (count == 0)
                throw new KoalaException($"{item}, byte {offset}", "the file has become shorter since it was opened", "get the file again");
            bytes = bytes[count..];
            offset += count;
        }
    }
}
