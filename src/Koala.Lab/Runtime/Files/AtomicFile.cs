using System.Text.RegularExpressions;

namespace Koala.Lab.Runtime.Files;

/// <summary>
/// Writes files that are complete or absent: a file is written under a temporary name in the same folder, synced to disk and renamed.
/// </summary>
/// <remarks>
/// The temporary file is locked until it has its name. The operating system releases the lock when a process ends, however it ends, so
/// a temporary file without a lock was left by a process that was killed. The process id in its name does not say that, since another
/// process, or one on another machine, can have the same id.
/// </remarks>
public static partial class AtomicFile
{
    private static int s_writes;

    /// <summary>
    /// Writes a file with <paramref name="write"/>. Folders are created as needed, and an existing file is replaced as a whole. What
    /// killed processes left of earlier attempts to write this file is removed.
    /// </summary>
    /// <exception cref="KoalaException">The folder cannot be written or the disk is full; nothing is left behind.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        var full = Path.GetFullPath(path);
        string? temporary = null;
        try
        {
            var folder = Path.GetDirectoryName(full)!;
            Directory.CreateDirectory(folder);
            RemoveAbandoned(folder, Path.GetFileName(full));
            using (var stream = OpenTemporary(full))
            {
                temporary = stream.Name;
                write(stream);
                stream.Flush(flushToDisk: true);
                File.Move(temporary, full, overwrite: true);
            }
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

    /// <summary>
    /// Removes the temporary files that killed processes left in a folder of Koala's own and in the folders below it.
    /// </summary>
    /// <exception cref="KoalaException">The folder cannot be read or written.</exception>
    internal static void RemoveAbandoned(string folder)
    {
        if (!Directory.Exists(folder)) return;
        try
        {
            foreach (var path in Directory.EnumerateFiles(folder, "*.tmp", SearchOption.AllDirectories))
                if (TargetOfTemporary(Path.GetFileName(path)) is not null) RemoveIfAbandoned(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(folder, $"cannot be written ({e.Message.TrimEnd('.')})", "make the folder writable", e);
        }
    }

    /// <summary>The name of the file that is written under a temporary name; null if the name is not a temporary one.</summary>
    internal static string? TargetOfTemporary(string name) =>
        TemporaryName().Match(name) is { Success: true } match ? match.Groups[1].Value : null;

    // Elsewhere the folder is the user's, and only what has the name of the file itself is Koala's.
    private static void RemoveAbandoned(string folder, string name)
    {
        foreach (var path in Directory.EnumerateFiles(folder, "*.tmp"))
            if (TargetOfTemporary(Path.GetFileName(path)) == name) RemoveIfAbandoned(path);
    }

    private static void RemoveIfAbandoned(string path)
    {
        try
        {
            new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose).Dispose();
        }
        catch (Exception e) when (e is FileNotFoundException or UnauthorizedAccessException)
        {
            // Its writer has just given it its name, or it is another user's.
        }
        catch (IOException e) when (FileLocked.Is(e))
        {
            // Its writer is at work.
        }
    }

    [GeneratedRegex(@"\A(.+)\.[0-9]+-[0-9]+\.tmp\z", RegexOptions.Singleline)]
    private static partial Regex TemporaryName();

    // Each write has its own temporary name: two threads that write the same file must not share one.
    private static FileStream OpenTemporary(string full)
    {
        while (true)
        {
            var name = $"{full}.{Environment.ProcessId}-{Interlocked.Increment(ref s_writes)}.tmp";
            try
            {
                // It is renamed while it is open.
                var stream = new FileStream(name, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete);
                // Between its creation and its lock another process may have taken it for abandoned and removed it.
                if (File.Exists(name)) return stream;
                stream.Dispose();
            }
            catch (IOException e) when (FileLocked.Is(e) || File.Exists(name))
            {
                // Another process is about to remove it for the same reason, or writes the same file under the same id elsewhere.
            }
        }
    }

    private static void Discard(string? temporary)
    {
        try
        {
            if (temporary is not null) File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder itself cannot be written; the first error is the one to report.
        }
    }
}
