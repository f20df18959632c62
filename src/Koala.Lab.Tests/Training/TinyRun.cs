using System.Text.Json;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

/// <summary>A training run of twelve steps in a temporary folder.</summary>
internal sealed class TinyRun : IDisposable
{
    private readonly TemporaryFolder _parent = new();

    public TinyRun() => Folder = RunFolder.Create(_parent.At("run"));

    public static TrainingRequest Request { get; } =
        new() { Data = "tiny.jsonl", Head = TinyModels.Head, Training = TinyModels.Options };

    public static TrainingPlan Plan { get; } = new(Request, ShippedModels.Nano, TinyModels.Data);

    public static TrainingPlan Pair { get; } = Plan with { Training = TinyModels.WithAdversary, WithControls = [TrainingControls.None] };

    public RunFolder Folder { get; }

    public RunFolder Control => RunFolder.Open(Folder.ControlFolder(TrainingControls.None));

    public RunState State => Folder.ReadRecord().State;

    public void Start(TrainingPlan? plan = null, Action<TrainingProgress>? progress = null,
        CancellationToken cancel = default) =>
        TrainingRun.Start(Folder, ShippedModels.Nano, TinyModels.Data, plan ?? Plan, ["train"],
            progress is null ? null : new ProgressCallback(progress), cancel);

    public void Resume(TrainingData? data = null, Action<string>? notes = null, CancellationToken cancel = default) =>
        TrainingRun.Resume(Folder, ShippedModels.Nano, data ?? TinyModels.Data, null, notes, cancel);

    /// <summary>Starts the run and cancels it after a step of the run, or of its control.</summary>
    public void Interrupt(int step, TrainingPlan? plan = null, bool inControl = false)
    {
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Start(plan, report =>
        {
            if (report.Metrics.Step == step && report.Folder.Path != Folder.Path == inControl) stop.Cancel();
        }, stop.Token));
    }

    /// <summary>A copy of the run as the disk holds it now, as if the run had been killed.</summary>
    public TinyRun Killed()
    {
        var killed = new TinyRun();
        foreach (var file in Directory.GetFiles(Folder.Path, "*", SearchOption.AllDirectories)
            .Where(f => f != Folder.LockFile && f != Folder.HolderFile))
        {
            var copy = Path.Combine(killed.Folder.Path, Path.GetRelativePath(Folder.Path, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            using var from = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var to = File.Create(copy);
            from.CopyTo(to);
        }
        return killed;
    }

    public static byte[] HeadOf(RunFolder folder) => File.ReadAllBytes(Path.Combine(folder.HeadFolder, "model.safetensors"));

    /// <summary>
    /// Asserts that two runs ended alike: with the same head, card and config, and the same metrics, each step once.
    /// </summary>
    public static void AssertSame(RunFolder expected, RunFolder actual)
    {
        Assert.Equal(RunState.Finished, actual.ReadRecord().State);
        foreach (var file in (string[])["model.safetensors", "config.json", "card.md"])
            Assert.True(File.ReadAllBytes(Path.Combine(expected.HeadFolder, file))
                .SequenceEqual(File.ReadAllBytes(Path.Combine(actual.HeadFolder, file))),
                file);
        var (one, other) = (MetricsLog.Read(expected.MetricsFile), MetricsLog.Read(actual.MetricsFile));
        Assert.Equal(Enumerable.Range(1, 12), other.Select(line => line.Step));
        foreach (var (a, b) in one.Zip(other))
            Assert.Equal(a.Values.Where(v => v.Key != "seconds"), b.Values.Where(v => v.Key != "seconds"));
    }

    /// <summary>Asserts that two plans are equal; their lists are compared by content.</summary>
    public static void AssertSame(TrainingPlan expected, TrainingPlan actual) =>
        Assert.Equal(JsonSerializer.Serialize(expected, JsonFormat.Document),
            JsonSerializer.Serialize(actual, JsonFormat.Document));

    public void Dispose() => _parent.Dispose();

    private sealed class ProgressCallback(Action<TrainingProgress> callback) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => callback(value);
    }
}
