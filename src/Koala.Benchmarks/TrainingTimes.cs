using System.Text.Json;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Training;

namespace Koala.Benchmarks;

/// <summary>What finished training runs took and reached.</summary>
/// <param name="Runs">In the order of their names.</param>
public sealed record TrainingTimes(IReadOnlyList<TrainingTimes.Run> Runs)
{
    /// <param name="Name">The run's folder name.</param>
    /// <param name="Command">The command line that made it.</param>
    /// <param name="Commit">Of Koala's sources.</param>
    /// <param name="Machine">Where it ran.</param>
    /// <param name="Target">The target's name.</param>
    /// <param name="Layers">K.</param>
    /// <param name="AdversaryWeight">0: none.</param>
    /// <param name="Steps">Done.</param>
    /// <param name="Seconds">From the run's beginning to its end, on the clock.</param>
    /// <param name="ValidationAccuracy">Held-out accuracy by depth at the end.</param>
    /// <param name="DiscriminatorAccuracy">Mean over the last tenth of the steps; null without an adversary.</param>
    public sealed record Run(string Name, IReadOnlyList<string> Command, GitCommit? Commit, MachineInfo Machine, string Target, int Layers,
        double AdversaryWeight, int Steps, double Seconds, IReadOnlyList<double> ValidationAccuracy, double? DiscriminatorAccuracy);

    /// <summary>Reads the runs in a folder.</summary>
    public static TrainingTimes Of(string folder) => new([.. Directory.GetDirectories(folder).Where(RunFolder.IsRun).Order(StringComparer.Ordinal).Select(Read)]);

    public void Save(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonFormat.Document) + "\n");

    private static Run Read(string path)
    {
        var folder = RunFolder.Open(path);
        var (record, plan, metrics) = (folder.ReadRecord(), TrainingRun.PlanOf(folder), MetricsLog.Read(folder.MetricsFile));
        var last = metrics[^1].Values;
        var judged = metrics.TakeLast(Math.Max(1, metrics.Count / 10)).Where(m => m.Values.ContainsKey("discriminatorAccuracy")).Select(m => m.Values["discriminatorAccuracy"]).ToArray();
        return new Run(Path.GetFileName(folder.Path), record.Command, record.Commit, record.Machine, Path.GetFileName(plan.Target), plan.Head.Layers,
            plan.Training.Adversary.Weight, metrics[^1].Step, (record.Ended!.Value - record.Started).TotalSeconds,
            [.. Enumerable.Range(1, 16).TakeWhile(d => last.ContainsKey($"validationAccuracyAtDepth{d}")).Select(d => last[$"validationAccuracyAtDepth{d}"])],
            judged.Length == 0 ? null : judged.Average());
    }
}
