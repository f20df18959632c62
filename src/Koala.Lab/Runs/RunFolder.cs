using System.Globalization;
using IOPath = System.IO.Path;

namespace Koala.Lab.Runs;

/// <summary>The folder of a run: where each of its parts lies.</summary>
public sealed class RunFolder
{
    private RunFolder(string path) => Path = IOPath.GetFullPath(path);

    /// <summary>The folder, as a full path.</summary>
    public string Path { get; }

    /// <summary>run.json: the <see cref="RunRecord"/>. A folder with this file is a run.</summary>
    public string RecordFile => IOPath.Combine(Path, "run.json");

    /// <summary>metrics.jsonl: the <see cref="MetricsLog"/>.</summary>
    public string MetricsFile => IOPath.Combine(Path, "metrics.jsonl");

    /// <summary>The trained head.</summary>
    public string HeadFolder => IOPath.Combine(Path, "head");

    /// <summary>The control: a run of its own.</summary>
    public string ControlFolder => IOPath.Combine(Path, "control");

    /// <summary>The training states: the <see cref="CheckpointStore"/>.</summary>
    public string CheckpointsFolder => IOPath.Combine(Path, "checkpoints");

    /// <summary>The reports of evaluations, a JSON file each.</summary>
    public string ResultsFolder => IOPath.Combine(Path, "results");

    internal string LockFile => IOPath.Combine(Path, "lock");

    internal string HolderFile => IOPath.Combine(Path, "lock.json");

    /// <summary>Makes the folder of a new run.</summary>
    /// <exception cref="KoalaException">It exists already, or cannot be made.</exception>
    public static RunFolder Create(string path)
    {
        CheckFree(path);
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be made ({e.Message.TrimEnd('.')})", "choose a folder that can be written", e);
        }
        return new RunFolder(path);
    }

    /// <summary>Checks that a new run could take this path, before long work is begun for it.</summary>
    /// <exception cref="KoalaException">Something is there already.</exception>
    public static void CheckFree(string path)
    {
        if (string.IsNullOrWhiteSpace(path))
            throw KoalaException.ForOption(nameof(RunFolder), "names no folder", "name a folder that does not exist yet");
        if (IsRun(path))
            throw new KoalaException(path, "is a run already",
                $"continue it with {new OptionName("Resume")} {path}, or choose another {new OptionName(nameof(RunFolder))}");
        if (IOPath.Exists(path))
            throw new KoalaException(path, $"exists already and is no run that {new OptionName("Resume")} could continue",
                $"choose another {new OptionName(nameof(RunFolder))}, or remove it");
    }

    /// <summary>Makes the folder of a new run under <paramref name="parent"/>, named by the time (UTC, so that names sort as the runs began) and <paramref name="name"/>: <c>2026-11-23T10-15-04-eagle-k2</c>.</summary>
    /// <param name="parent">The folder of runs; made as needed.</param>
    /// <param name="name">What the run is, in a word: letters, digits, dots, dashes and underscores.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <exception cref="KoalaException">The name does not fit, or the folder cannot be made.</exception>
    public static RunFolder CreateUnder(string parent, string name, TimeProvider? time = null)
    {
        if (name.Length is 0 or > 100 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'))
            throw new KoalaException("the run's name", $"is '{name}'", "use 1 to 100 letters, digits, dots, dashes and underscores");
        var now = (time ?? TimeProvider.System).GetUtcNow().ToString("yyyy-MM-dd'T'HH-mm-ss", CultureInfo.InvariantCulture);
        var path = IOPath.Combine(parent, $"{now}-{name}");
        // Two runs may begin in one second.
        for (var again = 2; IOPath.Exists(path); again++) path = IOPath.Combine(parent, $"{now}-{name}-{again}");
        return Create(path);
    }

    /// <summary>The folder of a run that exists.</summary>
    /// <exception cref="KoalaException">There is no such folder, or it is no run.</exception>
    public static RunFolder Open(string path)
    {
        if (!Directory.Exists(path)) throw new KoalaException(path, "is no folder", "name the folder of a run");
        if (!IsRun(path)) throw new KoalaException(path, "is no run: it holds no run.json", "name the folder of a run");
        return new RunFolder(path);
    }

    /// <summary>Whether the folder is a run: whether it holds a run.json.</summary>
    public static bool IsRun(string path) => File.Exists(IOPath.Combine(path, "run.json"));

    /// <summary>Reads run.json. A run that is recorded as running while no process holds it is reported as <see cref="RunState.Died"/>.</summary>
    /// <exception cref="KoalaException">run.json cannot be read, is malformed or of another format version.</exception>
    public RunRecord ReadRecord()
    {
        var record = RunRecord.Read(RecordFile);
        if (record.State != RunState.Running || RunLock.IsHeld(this)) return record;
        // It may have ended between the two looks; what is written before a lock is given up stands now.
        record = RunRecord.Read(RecordFile);
        return record.State == RunState.Running ? record with { State = RunState.Died } : record;
    }

    /// <summary>Writes run.json, whole or not at all.</summary>
    /// <exception cref="KoalaException">The folder cannot be written or the disk is full.</exception>
    public void WriteRecord(RunRecord record) => record.Write(RecordFile);

    /// <summary>The path.</summary>
    public override string ToString() => Path;
}
