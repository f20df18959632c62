using System.Globalization;
using System.Text.RegularExpressions;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Files;
using IOPath = System.IO.Path;

namespace Koala.Lab.Runs;

/// <summary>The folder of a run, and the paths of its parts.</summary>
[TypeFormatterSource("text/plain")]
public sealed partial class RunFolder
{
    private const string RecordName = "run.json";
    private const string LockName = "lock";
    private const string HolderName = "lock.json";
    private const string Control = "control";
    private const string PlainControl = "none";

    private RunFolder(string path) => Path = IOPath.GetFullPath(path);

    /// <summary>The folder, as a full path.</summary>
    public string Path { get; }

    /// <summary>The path of run.json, which contains the <see cref="RunRecord"/>. A folder with this file is a run.</summary>
    public string RecordFile => IOPath.Combine(Path, RecordName);

    /// <summary>The path of metrics.jsonl, the <see cref="MetricsLog"/>.</summary>
    public string MetricsFile => IOPath.Combine(Path, "metrics.jsonl");

    /// <summary>The folder of the trained head.</summary>
    public string HeadFolder => IOPath.Combine(Path, "head");

    /// <summary>The folders of the controls that there are, each of which is another run, by name.</summary>
    public IReadOnlyList<string> ControlFolders => Directory.Exists(Path)
        ? [.. Directory.EnumerateDirectories(Path, $"{Control}*").Where(IsControl).Order(StringComparer.Ordinal)]
        : [];

    /// <summary>
    /// The folder of a control: <c>control</c> for the one without anything in the adversary's place, and
    /// <c>control-</c> with its name for the others.
    /// </summary>
    /// <param name="name">The name of the control.</param>
    public string ControlFolder(string name) => IOPath.Combine(Path, name == PlainControl ? Control : $"{Control}-{name}");

    /// <summary>The folder of the training states, which <see cref="CheckpointStore"/> saves.</summary>
    public string CheckpointsFolder => IOPath.Combine(Path, "checkpoints");

    /// <summary>The folder of the state in which the head of a run with an adversary was best.</summary>
    internal string LastGoodFolder => IOPath.Combine(Path, "last-good");

    /// <summary>The folder of the evaluations' reports, each in a JSON file.</summary>
    public string ResultsFolder => IOPath.Combine(Path, "results");

    /// <summary>The folder of TensorBoard's event files, where a training run writes them.</summary>
    public string TensorBoardFolder => IOPath.Combine(Path, "tensorboard");

    internal string LockFile => IOPath.Combine(Path, LockName);

    internal string HolderFile => IOPath.Combine(Path, HolderName);

    private static bool IsControl(string folder) =>
        IOPath.GetFileName(folder) is Control || IOPath.GetFileName(folder).StartsWith($"{Control}-", StringComparison.Ordinal);

    /// <summary>Creates the folder of a new run, or takes over the folder of a run that was stopped before it began.</summary>
    /// <exception cref="KoalaException">It exists already and holds something, or it cannot be created.</exception>
    public static RunFolder Create(string path)
    {
        CheckFree(path);
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be created ({e.Message.TrimEnd('.')})", "choose a folder that can be written", e);
        }
        return new RunFolder(path);
    }

    /// <summary>
    /// Checks that a new run can use this path: there is nothing, an empty folder, or a folder with the lock of a run that was stopped
    /// before it began. Call it before long work.
    /// </summary>
    /// <exception cref="KoalaException">There is something else.</exception>
    public static void CheckFree(string path)
    {
        if (string.IsNullOrWhiteSpace(path))
            throw KoalaException.ForOption(nameof(RunFolder), "is empty", "name a folder that does not exist yet");
        CheckIsNoRun(path);
        if (!IsUnused(path))
            throw new KoalaException(path, $"exists already and is not a run that {new OptionName("Resume")} could continue",
                $"choose another {new OptionName(nameof(RunFolder))}, or remove it");
    }

    /// <summary>Whether there is nothing at a path, an empty folder, or only the lock of a run that was stopped before it began.</summary>
    /// <exception cref="KoalaException">The folder cannot be read.</exception>
    internal static bool IsUnused(string path) => !IOPath.Exists(path) || HoldsNothingButALock(path);

    /// <exception cref="KoalaException">The folder is a run.</exception>
    internal static void CheckIsNoRun(string path)
    {
        if (IsRun(path))
            throw new KoalaException(path, "is a run already",
                $"continue it with {new OptionName("Resume")} {path}, or choose another {new OptionName(nameof(RunFolder))}");
    }

    /// <summary>
    /// Creates the folder of a new run in <paramref name="parent"/>. Its name consists of the time (in UTC, so that names sort by the
    /// start of the runs) and <paramref name="name"/>: <c>2026-11-23T10-15-04-eagle-k2</c>. Folders with such names that starts left
    /// there, which were killed before their run began, are removed.
    /// </summary>
    /// <param name="parent">The folder of runs; it is created if needed.</param>
    /// <param name="name">A word that describes the run: letters, digits, dots, dashes and underscores.</param>
    /// <param name="time">The clock. Default the system's clock.</param>
    /// <exception cref="KoalaException">The name is not allowed, or the folder cannot be created.</exception>
    public static RunFolder CreateUnder(string parent, string name, TimeProvider? time = null)
    {
        if (name.Length is 0 or > 100 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'))
            throw new KoalaException("the run's name", $"is '{name}'", "use 1 to 100 letters, digits, dots, dashes and underscores");
        var now = (time ?? TimeProvider.System).GetUtcNow().ToString("yyyy-MM-dd'T'HH-mm-ss", CultureInfo.InvariantCulture);
        RemoveAbandoned(parent, now);
        var path = IOPath.Combine(parent, $"{now}-{name}");
        // Two runs may begin in the same second.
        for (var number = 2; IOPath.Exists(path); number++) path = IOPath.Combine(parent, $"{now}-{name}-{number}");
        return Create(path);
    }

    /// <summary>Opens the folder of an existing run.</summary>
    /// <exception cref="KoalaException">There is no such folder, or it is not a run.</exception>
    public static RunFolder Open(string path)
    {
        if (!Directory.Exists(path)) throw new KoalaException(path, "is not a folder", "name the folder of a run");
        if (!IsRun(path)) throw new KoalaException(path, "is not a run: it contains no run.json", "name the folder of a run");
        return new RunFolder(path);
    }

    /// <summary>The folder of a run that need not exist yet. Whoever acquires its lock creates it.</summary>
    internal static RunFolder At(string path) => new(path);

    /// <summary>Whether the folder is a run, which means that it contains a run.json.</summary>
    public static bool IsRun(string path) => File.Exists(IOPath.Combine(path, RecordName));

    /// <summary>
    /// Reads run.json. If it says that the run is running, but no process has its lock, the state is <see cref="RunState.Died"/>.
    /// </summary>
    /// <exception cref="KoalaException">run.json cannot be read, is malformed, or has another format version.</exception>
    public RunRecord ReadRecord()
    {
        var record = RunRecord.Read(RecordFile);
        if (record.State != RunState.Running || RunLock.IsHeld(this)) return record;
        // The run may have ended between the two checks. A process writes the record before it releases the lock, so read it again.
        record = RunRecord.Read(RecordFile);
        return record.State == RunState.Running ? record with { State = RunState.Died } : record;
    }

    /// <summary>Writes run.json completely or not at all.</summary>
    /// <exception cref="KoalaException">The folder cannot be written or the disk is full.</exception>
    public void WriteRecord(RunRecord record) => record.Write(RecordFile);

    // Nobody knows the name of a folder that Koala chose, so no later start would take it over. Those of this second stay: one of them may
    // be about to be locked, and its name must not be chosen again.
    private static void RemoveAbandoned(string parent, string now)
    {
        if (!Directory.Exists(parent)) return;
        foreach (var path in Directory.GetDirectories(parent))
        {
            var name = IOPath.GetFileName(path);
            if (!ChosenName().IsMatch(name) || name.StartsWith(now, StringComparison.Ordinal)) continue;
            try
            {
                if (HoldsNothingButALock(path)) RunLock.RemoveIfAbandoned(new RunFolder(path), HoldsNothingButALock);
            }
            catch (Exception e) when (e is KoalaException or IOException or UnauthorizedAccessException)
            {
                // Its start is alive, it is another user's, or another start has just removed it.
            }
        }
    }

    // What the start of a run leaves that is stopped before it has written run.json.
    private static bool HoldsNothingButALock(string path)
    {
        try
        {
            return Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).All(entry =>
                IOPath.GetFileName(entry) is LockName or HolderName
                || AtomicFile.TargetOfTemporary(IOPath.GetFileName(entry)) is HolderName or RecordName);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read ({e.Message.TrimEnd('.')})", "choose a folder that can be read", e);
        }
    }

    /// <summary>Returns the path.</summary>
    public override string ToString() => Path;

    // The names of CreateUnder.
    [GeneratedRegex(@"\A\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[A-Za-z0-9._-]+\z")]
    private static partial Regex ChosenName();
}
