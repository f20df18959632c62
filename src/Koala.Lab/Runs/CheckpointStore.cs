using System.Globalization;

namespace Koala.Lab.Runs;

/// <summary>A whole training state on disk.</summary>
/// <param name="Step">The step it was saved after.</param>
/// <param name="Folder">The folder with its files.</param>
public sealed record Checkpoint(int Step, string Folder);

/// <summary>A folder that is no whole training state.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Reason">What is wrong with it.</param>
/// <param name="Unfinished">A save was cut off: nothing that once was whole.</param>
public sealed record SkippedCheckpoint(string Folder, string Reason, bool Unfinished);

/// <summary>The training states of a run: complete or invisible. The last two are kept.</summary>
/// <remarks>
/// A state is written as <c>step-N.tmp</c>: files, each synced, then the manifest with their sizes and hashes, then the rename to
/// <c>step-N</c>, then the parent's sync. Whatever moment a crash or a power cut picks, the newest state before it can be read.
/// A state of the same step is first renamed to <c>step-N.old</c>, which counts as long as there is no <c>step-N</c>. One process
/// a run writes (<see cref="RunLock"/>).
/// </remarks>
public sealed class CheckpointStore
{
    private const int Kept = 2;
    private const string Temporary = ".tmp";
    private const string Old = ".old";

    private readonly string _folder;
    private readonly Action<string> _before;

    /// <param name="folder">The run's <see cref="RunFolder.CheckpointsFolder"/>; made at the first save.</param>
    public CheckpointStore(string folder) : this(folder, _ => { })
    {
    }

    /// <param name="folder">The folder of checkpoints.</param>
    /// <param name="before">Called before each operation on files with what comes next: where tests let it fail.</param>
    internal CheckpointStore(string folder, Action<string> before)
    {
        _folder = Path.GetFullPath(folder);
        _before = before;
    }

    /// <summary>The folders that the last call of <see cref="Latest"/> did not take, newest first, and why.</summary>
    public IReadOnlyList<SkippedCheckpoint> Skipped { get; private set; } = [];

    /// <summary>Saves the state after a step and removes all but the last two. A state of the same step is replaced.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="writeFiles">Writes the state's files into the folder it is given; inner folders are allowed.</param>
    /// <exception cref="KoalaException">The disk is full or the folder cannot be written; what was saved before still stands.</exception>
    public Checkpoint Save(int step, Action<string> writeFiles)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        var complete = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"step-{step}"));
        var temporary = complete + Temporary;
        try
        {
            _before("make the folder");
            DeleteIfThere(temporary);
            Directory.CreateDirectory(temporary);
            _before("write the files");
            writeFiles(temporary);
            CheckpointManifest.Write(temporary, step, _before);
            PutInPlace(temporary, complete);
            RemoveOthers(step);
            return new Checkpoint(step, complete);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Discard(temporary);
            throw new KoalaException(complete, $"cannot be saved ({e.Message.TrimEnd('.')})",
                $"free space, then go on with {new OptionName("Resume")}", e);
        }
        catch
        {
            Discard(temporary);
            throw;
        }
    }

    /// <summary>The newest whole state, every file of it read and compared with its hash; null if there is none. See <see cref="Skipped"/> for what was not taken.</summary>
    /// <exception cref="KoalaException">The folder cannot be read.</exception>
    public Checkpoint? Latest()
    {
        var passedOver = new List<SkippedCheckpoint>();
        Skipped = passedOver;
        foreach (var (step, folder) in Entries())
        {
            var fault = folder.EndsWith(Temporary, StringComparison.Ordinal) ? "it was not finished" : CheckpointManifest.Fault(folder, step, hashes: true);
            if (fault is null) return new Checkpoint(step, folder);
            passedOver.Add(new SkippedCheckpoint(folder, fault, folder.EndsWith(Temporary, StringComparison.Ordinal)));
        }
        return null;
    }

    private void PutInPlace(string temporary, string complete)
    {
        var old = complete + Old;
        if (Directory.Exists(complete))
        {
            _before("remove the last but one of the same step");
            DeleteIfThere(old);
            _before("rename the last of the same step");
            Directory.Move(complete, old);
        }
        _before("rename");
        Directory.Move(temporary, complete);
        _before("sync the parent");
        Runtime.Files.FolderSync.Flush(_folder);
    }

    /// <summary>Removes what is older than the last two whole states, and the remains of crashes.</summary>
    private void RemoveOthers(int saved)
    {
        var kept = new HashSet<int>();
        foreach (var (step, folder) in Entries())
        {
            // Later than this one: passed over when the run was resumed, and replaced when it comes there again.
            if (step > saved && !folder.EndsWith(Temporary, StringComparison.Ordinal)) continue;
            // Sizes are enough here: hashes would read gigabytes at every save, and Latest checks them.
            if (kept.Count < Kept && !kept.Contains(step) && !folder.EndsWith(Temporary, StringComparison.Ordinal)
                && CheckpointManifest.Fault(folder, step, hashes: false) is null)
                kept.Add(step);
            else
                Remove(folder);
        }
    }

    private void Remove(string folder)
    {
        // Invisible before it is half gone.
        var going = folder.EndsWith(Temporary, StringComparison.Ordinal) ? folder : folder + Temporary;
        if (going != folder)
        {
            _before("rename what goes");
            DeleteIfThere(going);
            Directory.Move(folder, going);
        }
        _before("remove what goes");
        Directory.Delete(going, recursive: true);
    }

    /// <summary>All folders that a save left, newest first; of one step the state, then the older one, then what was not finished.</summary>
    private List<(int Step, string Folder)> Entries()
    {
        if (!Directory.Exists(_folder)) return [];
        try
        {
            return [.. Directory.EnumerateDirectories(_folder)
                .Select(folder => (Step: StepOf(Path.GetFileName(folder)), Folder: folder))
                .Where(entry => entry.Step >= 0)
                .OrderByDescending(entry => entry.Step).ThenBy(entry => entry.Folder.Length).ThenBy(entry => entry.Folder, StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(_folder, $"cannot be read ({e.Message.TrimEnd('.')})", "make the folder readable", e);
        }
    }

    private static int StepOf(string name)
    {
        const string Prefix = "step-";
        if (!name.StartsWith(Prefix, StringComparison.Ordinal)) return -1;
        var parts = name[Prefix.Length..].Split('.', 2);
        var known = parts.Length == 1 || "." + parts[1] is Temporary or Old or Old + Temporary;
        return known && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var step) ? step : -1;
    }

    private static void DeleteIfThere(string folder)
    {
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }

    private void Discard(string temporary)
    {
        try
        {
            _before("discard");
            DeleteIfThere(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It stays invisible, and the next save removes it; the first error is the one to tell.
        }
    }
}
