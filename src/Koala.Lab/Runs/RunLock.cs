using System.Globalization;
using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Runs;

/// <summary>One process a run: held from <see cref="Acquire"/> to <see cref="Dispose"/>.</summary>
/// <remarks>
/// The operating system holds the lock on the file <c>lock</c> and gives it up when the process ends, however it ends. Whoever
/// finds it taken cannot read that file, so the holder's name stands beside it, in <c>lock.json</c>. The file <c>lock</c> itself
/// stays: to remove a file that another process is about to lock would let two hold the run.
/// </remarks>
public sealed class RunLock : IDisposable
{
    // A reader's look at the lock (IsHeld) holds it for an instant; it must not turn a run away.
    private const int Attempts = 10;
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    private readonly FileStream _file;
    private readonly string _holderFile;

    private RunLock(FileStream file, string holderFile)
    {
        _file = file;
        _holderFile = holderFile;
    }

    /// <summary>Takes the lock.</summary>
    /// <param name="folder">The run.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <exception cref="KoalaException">Another holds it: its process id, host and start time are named. Or the folder cannot be written.</exception>
    public static RunLock Acquire(RunFolder folder, TimeProvider? time = null)
    {
        var file = Open(folder) ?? throw new KoalaException(folder.Path, $"is held by {ReadHolder(folder)?.ToString() ?? "another process"}",
            "wait until it ends, or stop it");
        try
        {
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

    /// <summary>Whether a process that lives holds the run.</summary>
    public static bool IsHeld(RunFolder folder)
    {
        try
        {
            using var look = new FileStream(folder.LockFile, FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (IOException e) when (FileLocked.Is(e))
        {
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(folder.LockFile, $"cannot be opened ({e.Message.TrimEnd('.')})", "make the run's folder readable", e);
        }
    }

    /// <summary>Gives the run up.</summary>
    public void Dispose()
    {
        try
        {
            File.Delete(_holderFile);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It only names a holder; without the lock nobody reads it, and the next holder replaces it.
        }
        _file.Dispose();
    }

    private static FileStream? Open(RunFolder folder)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return new FileStream(folder.LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (FileLocked.Is(e))
            {
                if (attempt == Attempts) return null;
                Thread.Sleep(s_pause);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new KoalaException(folder.LockFile, $"cannot be made ({e.Message.TrimEnd('.')})", "make the run's folder writable", e);
            }
        }
    }


    private static LockHolder? ReadHolder(RunFolder folder)
    {
        try
        {
            return JsonSerializer.Deserialize<LockHolder>(File.ReadAllText(folder.HolderFile), JsonFormat.Document);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            // The lock is what counts; only its holder's name is lost.
            return null;
        }
    }
}

/// <summary>Who holds a run.</summary>
/// <param name="ProcessId">Its process id.</param>
/// <param name="Host">The machine it runs on.</param>
/// <param name="Started">When it took the run.</param>
public sealed record LockHolder(int ProcessId, string Host, DateTimeOffset Started)
{
    /// <summary>In words.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"process {ProcessId} on {Host} since {Started:yyyy-MM-dd HH:mm:ss} UTC");
}
