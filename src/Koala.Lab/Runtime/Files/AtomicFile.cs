namespace Koala.Lab.Runtime.Files;

/// <summary>
/// Writes files that are complete or absent: a file is written under a temporary name in the same folder, synced to disk and renamed.
/// </summary>
public static class AtomicFile
{
    private static int s_writes;

    /// <summary>
    /// Writes a file with <paramref name="write"/>. Folders are created as needed, and an existing file is replaced as a whole.
    /// </summary>
    /// <exception cref="KoalaException">The folder cannot be written or the disk is full; nothing is left behind.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        var full = Path.GetFullPath(path);
        // Each write has its own temporary name: two threads that write the same file must not share one.
        var temporary = $"{full}.{Environment.ProcessId}-{Interlocked.Increment(ref s_writes)}.tmp";
        try
        {
            var folder = Path.GetDirectoryName(full)!;
            Directory.CreateDirectory(folder);
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, full, overwrite: true);
            FolderSync.Flush(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Discard(temporary);
            throw new KoalaException(path, $"cannot be written ({e.Message.TrimEnd('.')})",
                "free space, or choose a folder that can be written", e);
        }
        catch
        {
            Discard(temporary);
            throw;
        }
    }

    /// <summary>Writes text as UTF-8 without a byte-order mark.</summary>
    /// <exception cref="KoalaException">The folder cannot be written or the disk is full.</exception>
    public static void WriteText(string path, string text) => Write(path, stream =>
    {
        using var writer = new StreamWriter(stream, leaveOpen: true);
        writer.Write(text);
    });

    private static void Discard(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder itself cannot be written; the first error is the one to report.
        }
    }
}
