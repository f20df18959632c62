using System.Globalization;

namespace Koala.Lab.Runs;

/// <summary>A complete training state on disk.</summary>
/// <param name="Step">The step that it was saved after.</param>
/// <param name="Folder">The folder with its files.</param>
internal sealed record Checkpoint(int Step, string Folder);

/// <summary>A folder that is not a complete training state.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Reason">What is wrong with it.</param>
/// <param name="Unfinished">Whether a save was interrupted, so that the state was never complete.</param>
internal sealed record SkippedCheckpoint(string Folder, string Reason, bool Unfinished);

/// <summary>The training states of a run, each complete or invisible. The last two are kept.</summary>
/// <remarks>
/// A state is written as <c>step-N.tmp</c>: the files, each synced; the manifest with their sizes and hashes; the rename to
/// <c>step-N</c>; the sync of the parent folder. Whenever a crash or a power cut happens, the newest state before it can be read.
/// A state of the same step is first renamed to <c>step-N.old</c>, which counts as long as there is no <c>step-N</c>. Only one
/// process per run writes (<see cref="RunLock"/>).
/// </remarks>
internal sealed class CheckpointStore
{
    private const int Kept = 2;
    private const string Temporary = ".tmp";
    private const string Old = ".old";

    private readonly string _folder;
    private readonly Action<string> _beforeOperation;

    /// <param name="folder">The run's <see cref="RunFolder.CheckpointsFolder"/>, which the first save creates.</param>
    internal CheckpointStore(string folder) : this(folder, _ => { })
    {
    }

    /// <param name="folder">The folder of checkpoints.</param>
    /// <param name="beforeOperation">Called before each operation on files, with its name, so that tests can make it fail.</param>
    internal CheckpointStore(string folder, Action<string> beforeOperation)
    {
        _folder = Path.GetFullPath(folder);
        _beforeOperation = beforeOperation;
    }

    /// <summary>The folders that the last call of <see cref="Latest"/> skipped, newest first, and the reasons.</summary>
    public IReadOnlyList<SkippedCheckpoint> Skipped { get; private set; } = [];

    /// <summary>Saves the state after a step and removes all but the last two. A state of the same step is replaced.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="writeFiles">Writes the state's files into the folder that it is given; inner folders are allowed.</param>
    /// <exception cref="KoalaException">The disk is full or the folder cannot be written; earlier states remain.</exception>
    public Checkpoint Save(int step, Action<string> writeFiles)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        var complete = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"step-{step}"));
        var temporary = complete + Temporary;
        try
        {
            _beforeOperation("make the folder");
            DeleteIfThere(temporary);
            Directory.CreateDirectory(temporary);
            _beforeOperation("write the files");
            writeFiles(temporary);
            CheckpointManifest.Write(temporary, step, _beforeOperation);
            PutInPlace(temporary, complete);
            RemoveOthers(step);
            return new Checkpoint(step, complete);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Discard(temporary);
            throw new KoalaException(complete, $"cannot be saved ({e.Message.TrimEnd('.')})",
                $"free space, then continue with {new OptionName("Resume")}", e);
        }
        catch
        {
            Discard(temporary);
            throw;
        }
    }

    /// <summary>
    /// Returns the newest complete state, after every file of it is read and compared with its hash; null if there is none.
    /// <see cref="Skipped"/> then lists the folders that were skipped.
    /// </summary>
    /// <exception cref="KoalaException">The folder cannot be read.</exception>
    public Checkpoint? Latest()
    {
        var skipped = new List<SkippedCheckpoint>();
        Skipped = skipped;
        foreach (var (step, folder) in Entries())
        {
            var unfinished = IsTemporary(folder);
            var fault = unfinished ? "it was not finished" : CheckpointManifest.Fault(folder, step, hashes: true);
            if (fault is null) return new Checkpoint(step, folder);
            skipped.Add(new SkippedCheckpoint(folder, fault, unfinished));
        }
        return null;
    }

    /// <summary>
    /// Removes what stopped saves left, and states older than the last two up to <paramref name="latest"/>. Call it before the run
    /// continues, since the next save, which does the same, comes only if there is a step left.
    /// </summary>
    /// <param name="latest">The state that the run continues from; null if there is none.</param>
    /// <exception cref="KoalaException">A folder cannot be removed.</exception>
    public void RemoveLeftovers(Checkpoint? latest)
    {
        try
        {
            RemoveOthers(latest?.Step ?? -1);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(_folder, $"cannot be written ({e.Message.TrimEnd('.')})", "make the folder writable", e);
        }
    }

    private void PutInPlace(string temporary, string complete)
    {
        var old = complete + Old;
        if (Directory.Exists(complete))
        {
            _beforeOperation("remove the last but one of the same step");
            DeleteIfThere(old);
            _beforeOperation("rename the last of the same step");
            Directory.Move(complete, old);
        }
        _beforeOperation("rename");
        Directory.Move(temporary, complete);
        _beforeOperation("sync the parent");
        Runtime.Files.FolderSync.Flush(_folder);
    }

    /// <summary>Removes what is older than the last two complete states, and what crashes left.</summary>
    private void RemoveOthers(int saved)
    {
        var kept = new HashSet<int>();
        foreach (var (step, folder) in Entries())
        {
            // A later state was skipped when the run was resumed; it is replaced when the run reaches its step again.
            if (step > saved && !IsTemporary(folder)) continue;
            // Sizes are enough here: to compare hashes every save would read gigabytes, and Latest checks them.
            if (kept.Count < Kept && !kept.Contains(step) && !IsTemporary(folder)
                && CheckpointManifest.Fault(folder, step, hashes: false) is null)
                kept.Add(step);
            else
                Remove(folder);
        }
    }

    private void Remove(string folder)
    {
        // The folder becomes invisible before it is partly deleted.
        var removed = IsTemporary(folder) ? folder : folder + Temporary;
        if (removed != folder)
        {
            _beforeOperation("rename an outdated folder");
            DeleteIfThere(removed);
            Directory.Move(folder, removed);
        }
        _beforeOperation("remove an outdated folder");
        Directory.Delete(removed, recursive: true);
    }

    /// <summary>
    /// Lists all folders that a save left, newest first. For one step the state comes first, then the older state, then what was not
    /// finished.
    /// </summary>
    private List<(int Step, string Folder)> Entries()
    {
        if (!Directory.Exists(_folder)) return [];
        try
        {
            var folders = Directory.EnumerateDirectories(_folder);
            var entries = folders.Select(folder => (Step: StepOf(Path.GetFileName(folder)), Folder: folder));
            var newestFirst = entries.Where(entry => entry.Step >= 0).OrderByDescending(entry => entry.Step);
            return [.. newestFirst.ThenBy(entry => entry.Folder.Length).ThenBy(entry => entry.Folder, StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(_folder, $"cannot be read ({e.Message.TrimEnd('.')})", "make the folder readable", e);
        }
    }

    private static bool IsTemporary(string folder) => folder.EndsWith(Temporary, StringComparison.Ordinal);

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
            _beforeOperation("discard");
            DeleteIfThere(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder stays invisible, and the next save removes it; the first error is the one to report.
        }
    }
}
