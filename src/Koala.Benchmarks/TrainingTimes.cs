using System.Text.Json;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Training;

namespace Koala.Benchmarks;

/// <summary>The times and the results of finished training runs.</summary>
/// <param name="Runs">The runs in the order of their names.</param>
public sealed record TrainingTimes(IReadOnlyList<TrainingTimes.Run> Runs)
{
    private const string Discriminator = "discriminatorAccuracy";

    /// <summary>A finished training run.</summary>
    /// <param name="Name">The name of the run's folder.</param>
    /// <param name="Command">The command line that made it.</param>
    /// <param name="Commit">The commit of Koala's sources.</param>
    /// <param name="Machine">The machine on which the run was made.</param>
    /// <param name="Target">The target's name.</param>
    /// <param name="Layers">The number of layers of the head, K.</param>
    /// <param name="AdversaryWeight">The weight of the adversary; 0 means that there is none.</param>
    /// <param name="Steps">The number of steps.</param>
    /// <param name="Seconds">The wall-clock seconds from the beginning of the run to its end.</param>
    /// <param name="ValidationAccuracy">The held-out accuracy by depth at the end.</param>
    /// <param name="DiscriminatorAccuracy">
    /// The mean accuracy of the discriminator over the last tenth of the steps; null without an adversary.
    /// </param>
    public sealed record Run(string Name, IReadOnlyList<string> Command, GitCommit? Commit, MachineInfo Machine, string Target, int Layers,
        double AdversaryWeight, int Steps, double Seconds, IReadOnlyList<double> ValidationAccuracy, double? DiscriminatorAccuracy);

    /// <summary>Reads the runs in a folder.</summary>
    public static TrainingTimes Load(string folder)
    {
        var runs = Directory.GetDirectories(folder).Where(RunFolder.IsRun).Order(StringComparer.Ordinal);
        return new TrainingTimes([.. runs.Select(Read)]);
    }

    public void Save(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonFormat.Document) + "\n");

    private static Run Read(string path)
    {
        var folder = RunFolder.Open(path);
        var (record, plan, metrics) = (folder.ReadRecord(), TrainingRun.PlanOf(folder), MetricsLog.Read(folder.MetricsFile));
        var last = metrics[^1].Values;
        var depths = Enumerable.Range(1, 16).TakeWhile(depth => last.ContainsKey($"validationAccuracyAtDepth{depth}"));
        var lastTenth = metrics.TakeLast(Math.Max(1, metrics.Count / 10));
        var withDiscriminator = lastTenth.Where(m => m.Values.ContainsKey(Discriminator));
        double[] discriminator = [.. withDiscriminator.Select(m => m.Values[Discriminator])];
        return new Run(
            Path.GetFileName(folder.Path), record.Command, record.Commit, record.Machine, Path.GetFileName(plan.Target), plan.Head.Layers,
            plan.Training.Adversary.Weight, metrics[^1].Step, (record.Ended!.Value - record.Started).TotalSeconds,
            [.. depths.Select(depth => last[$"validationAccuracyAtDepth{depth}"])],
            discriminator.Length == 0 ? null : discriminator.Average());
    }
}
