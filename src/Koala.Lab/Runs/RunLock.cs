using System.Globalization;
using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Runs;

/// <summary>The lock that allows only one process per run. It is held from <see cref="Acquire"/> to <see cref="Dispose"/>.</summary>
/// <remarks>
/// The operating system holds the lock on the file <c>lock</c> and releases it when the process ends, however it ends. A process
/// that finds it locked cannot read that file, so the holder is described in another file, <c>lock.json</c>. The file <c>lock</c>
/// of a run is never removed: if a process removed it while another was about to lock it, two processes could hold the run. Only with the
/// folder of a start that was killed before its run began is it removed. A start that was about to lock just that folder notices.
/// </remarks>
internal sealed class RunLock : IDisposable
{
    // A reader that checks the lock (IsHeld) holds it for a moment, which must not make a run fail.
    private const int Attempts = 10;
    private const int LargestHolder = 1 << 16;
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    private readonly FileStream _file;
    private readonly string _holderFile;

    private RunLock(FileStream file, string holderFile)
    {
        _file = file;
        _holderFile = holderFile;
    }

    /// <summary>Acquires the lock.</summary>
    /// <param name="folder">The run.</param>
    /// <param name="time">The clock. Default the system's clock.</param>
    /// <exception cref="KoalaException">
    /// Another process holds the lock; the message has its process id, host and start time. Or the folder cannot be written.
    /// </exception>
    public static RunLock Acquire(RunFolder folder, TimeProvider? time = null)
    {
        if (TryAcquire(folder, time) is { } acquired) return acquired;
        var other = ReadHolder(folder)?.ToString() ?? "another process";
        throw new KoalaException(folder.Path, $"is held by {other}", "wait until it ends, or stop it");
    }

    /// <summary>Acquires the lock, or returns null if another process holds it.</summary>
    /// <param name="folder">The run.</param>
    /// <param name="time">The clock. Default the system's clock.</param>
    /// <exception cref="KoalaException">The folder cannot be written.</exception>
    public static RunLock? TryAcquire(RunFolder folder, TimeProvider? time = null)
    {
        if (Open(folder) is not { } file) return null;
        try
        {
            // Nobody else writes in the folder now, except the reports of evaluations that are being written.
            AtomicFile.RemoveAbandoned(folder.Path);
            var holder = new LockHolder(Environment.ProcessId, Environment.MachineName, (time ?? TimeProvider.System).GetUtcNow());
            AtomicFile.WriteText(folder.HolderFile, JsonSerializer.Serialize(holder, JsonFormat.Document) + "\n");
        }
        catch
        {
            file.Dispose();
            throw;
        }
        return new RunLock(file, folder.HolderFile);
    }

    /// <summary>Whether a living process holds the run.</summary>
    public static bool IsHeld(RunFolder folder)
    {
        try
        {
            using var file = new FileStream(folder.LockFile, FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return false;
        }
        catch (IOException e) when (FileLocked.Is(e))
        {
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(folder.LockFile, $"cannot be opened ({e.Message.TrimEnd('.')})",
                "make the run's folder readable", e);
        }
    }

    /// <summary>
    /// Removes the folder of a start that was killed, unless a living process has its lock. A living one that has not locked it yet
    /// creates it again when it does.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="isLeft">Whether a folder holds only what such a start leaves. It is asked under the lock.</param>
    /// <exception cref="IOException">A living process has the lock, or something else has come into the folder.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder is another user's.</exception>
    internal static void RemoveIfAbandoned(RunFolder folder, Func<string, bool> isLeft)
    {
        if (File.Exists(folder.LockFile))
        {
            // It is removed while it is open, and last: without it, another process may write here.
            using var file = new FileStream(folder.LockFile, FileMode.Open, FileAccess.ReadWrite, FileShare.Delete);
            if (!isLeft(folder.Path)) return;
            foreach (var path in Directory.GetFiles(folder.Path).Where(path => path != folder.LockFile)) File.Delete(path);
            File.Delete(folder.LockFile);
        }
        Directory.Delete(folder.Path);
    }

    /// <summary>Releases the lock.</summary>
    public void Dispose()
    {
        try
        {
            File.Delete(_holderFile);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // This file only describes the holder. Nobody reads it while the run is not locked, and the next holder replaces it.
        }
        _file.Dispose();
    }

    private static FileStream? Open(RunFolder folder)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                // The folder of a new run may have been taken for abandoned, and removed, before it was locked or while it was.
                Directory.CreateDirectory(folder.Path);
                var file = new FileStream(folder.LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                if (File.Exists(folder.LockFile)) return file;
                file.Dispose();
            }
            catch (DirectoryNotFoundException) when (attempt < Attempts)
            {
            }
            catch (IOException e) when (FileLocked.Is(e))
            {
                if (attempt >= Attempts) return null;
                Thread.Sleep(s_pause);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new KoalaException(folder.LockFile, $"cannot be created ({e.Message.TrimEnd('.')})",
                    "make the run's folder writable", e);
            }
        }
    }

    private static LockHolder? ReadHolder(RunFolder folder)
    {
        try
        {
            return JsonSerializer.Deserialize<LockHolder>(InputFile.ReadText(folder.HolderFile, LargestHolder), JsonFormat.Document);
        }
        catch (Exception e) when (e is KoalaException or JsonException)
        {
            // The lock itself is what counts; only the description of its holder is lost.
            return null;
        }
    }
}

/// <summary>The process that holds a run.</summary>
/// <param name="ProcessId">Its process id.</param>
/// <param name="Host">The name of the machine that it runs on.</param>
/// <param name="Started">When it acquired the lock.</param>
internal sealed record LockHolder(int ProcessId, string Host, DateTimeOffset Started)
{
    /// <summary>Returns the description for messages.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"process {ProcessId} on {Host} since {Started:yyyy-MM-dd HH:mm:ss} UTC");
}
