using System.Globalization;

namespace Koala.Lab.Runtime.Machine;

/// <summary>
/// What Linux has counted up to a moment: the processor time of this process and of the machine, and how long this process's threads
/// waited for a core. The difference of two readings says how busy the machine was in between (<see cref="MachineLoad"/>).
/// </summary>
internal sealed record ProcessorTimes
{
    // Linux counts the machine's processor time in hundredths of a second, whatever its clock interrupt is.
    private const double TicksPerSecond = 100;

    /// <summary>The moment, as a timestamp of <see cref="TimeProvider.System"/>.</summary>
    public required long Timestamp { get; init; }

    /// <summary>Processor seconds of this process.</summary>
    public required double OwnSeconds { get; init; }

    /// <summary>Processor seconds of all work on the machine, this process's included; NaN where it is unknown.</summary>
    public double MachineSeconds { get; init; } = double.NaN;

    /// <summary>Processor seconds that the hypervisor gave to other machines; NaN where they are unknown.</summary>
    public double StolenSeconds { get; init; } = double.NaN;

    /// <summary>The number of the machine's logical cores, also of those that this process may not use.</summary>
    public int MachineCores { get; init; } = Environment.ProcessorCount;

    /// <summary>The mean number of tasks that ran or waited in the last minute; NaN where it is unknown.</summary>
    public double LoadAverage { get; init; } = double.NaN;

    /// <summary>For each thread of this process by its id, its seconds on a core and its seconds of waiting for one.</summary>
    public IReadOnlyDictionary<string, (double Run, double Wait)> Threads { get; init; } =
        new Dictionary<string, (double, double)>();

    /// <summary>Reads the counters now. On other systems than Linux only this process's own time is known.</summary>
    public static ProcessorTimes Read()
    {
        var own = Environment.CpuUsage.TotalTime.TotalSeconds;
        var now = new ProcessorTimes { Timestamp = TimeProvider.System.GetTimestamp(), OwnSeconds = own };
        return OperatingSystem.IsLinux() ? now.With(Text("/proc/stat"), Text("/proc/loadavg"), ReadThreads()) : now;
    }

    /// <param name="stat">The text of /proc/stat.</param>
    /// <param name="loadAverage">The text of /proc/loadavg.</param>
    /// <param name="threads">The text of the file schedstat of each thread of this process, by the thread's id.</param>
    internal ProcessorTimes With(string stat, string loadAverage, IReadOnlyDictionary<string, string> threads)
    {
        // The fields: user nice system idle iowait irq softirq steal, and guest times, which user and nice contain already.
        var lines = stat.Split('\n').Where(line => line.StartsWith("cpu", StringComparison.Ordinal)).Select(Words).ToArray();
        var ticks = lines.FirstOrDefault(line => line[0] == "cpu")?.Skip(1).Select(Number).ToArray() ?? [];
        return this with
        {
            MachineSeconds = ticks is [var user, var nice, var system, _, _, var irq, var softIrq, ..]
                ? (user + nice + system + irq + softIrq) / TicksPerSecond
                : double.NaN,
            StolenSeconds = ticks.Length > 7 ? ticks[7] / TicksPerSecond : double.NaN,
            MachineCores = Math.Max(1, lines.Length - 1),
            LoadAverage = Words(loadAverage) is [var last, ..] ? Number(last) : double.NaN,
            Threads = threads.Select(thread => (thread.Key, Words: Words(thread.Value)))
                .Where(thread => thread.Words.Length > 1)
                .ToDictionary(thread => thread.Key, thread => (Number(thread.Words[0]) / 1e9, Number(thread.Words[1]) / 1e9)),
        };
    }

    private static Dictionary<string, string> ReadThreads()
    {
        const string Tasks = "/proc/self/task";
        var ids = Directory.Exists(Tasks) ? Directory.GetDirectories(Tasks).Select(folder => Path.GetFileName(folder)) : [];
        return ids.ToDictionary(id => id, id => Text($"{Tasks}/{id}/schedstat"));
    }

    // A file is not there where the system does not count, or where the thread has ended; what it would say is then unknown.
    private static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static string[] Words(string line) => line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

    private static double Number(string word) =>
        double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : double.NaN;
}
