using System.Text.Json;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Targets;

namespace Koala.Lab.Training;

/// <summary>A training run on disk: its record, metrics, saved states and head; begun, interrupted and resumed.</summary>
public static class TrainingRun
{
    /// <summary>The kind in run.json.</summary>
    public const string Kind = "train";

    /// <summary>Trains in a new run folder, and after it the control where the plan asks for one.</summary>
    /// <param name="folder">Just made.</param>
    /// <param name="target">The plan's target, loaded.</param>
    /// <param name="data">The plan's data, loaded.</param>
    /// <param name="plan">What is asked for, of this target and this data.</param>
    /// <param name="command">The command line, for the record.</param>
    /// <param name="progress">Told after every step.</param>
    /// <param name="cancel">Looked at between steps; the state is then saved.</param>
    /// <exception cref="KoalaException">The plan, the data or the folder is wrong, or a loss is not finite.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; <see cref="Resume"/> goes on.</exception>
    public static void Start(RunFolder folder, Target target, TrainingData data, TrainingPlan plan, IReadOnlyList<string> command,
        IProgress<TrainingProgress>? progress = null, CancellationToken cancel = default)
    {
        plan.Validate();
        Check(plan, target, data);
        using var held = RunLock.Acquire(folder);
        Begin(folder, plan, command);
        Continue(folder, target, data, plan, progress, cancel);
    }

    /// <summary>Goes on with a run that was interrupted, failed or died: bit-identically on a CPU in fp32.</summary>
    /// <exception cref="KoalaException">The run is finished, held by another process, or not a training run; or as <see cref="Start"/>.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static void Resume(RunFolder folder, Target target, TrainingData data, IProgress<TrainingProgress>? progress = null, CancellationToken cancel = default)
    {
        using var held = RunLock.Acquire(folder);
        Continue(folder, target, data, PlanToResume(folder), progress, cancel);
    }

    /// <summary>Whether a training run has nothing left to do, its control included.</summary>
    /// <exception cref="KoalaException">It is not a training run.</exception>
    public static bool IsDone(RunFolder folder) => IsFinished(folder)
        && (!PlanOf(folder).WithControl || (RunFolder.IsRun(folder.ControlFolder) && IsFinished(RunFolder.Open(folder.ControlFolder))));

    /// <summary>The plan of a run that can be resumed.</summary>
    /// <exception cref="KoalaException">It is not a training run, or finished.</exception>
    public static TrainingPlan PlanToResume(RunFolder folder)
    {
        var plan = PlanOf(folder);
        if (IsDone(folder))
            throw new KoalaException(folder.Path, $"is finished: all {plan.Training.Steps} steps are done", "start a new run");
        return plan;
    }

    /// <summary>The plan a run was begun with.</summary>
    /// <exception cref="KoalaException">It is not a training run.</exception>
    public static TrainingPlan PlanOf(RunFolder folder)
    {
        var record = folder.ReadRecord();
        if (record.Kind != Kind) throw new KoalaException(folder.RecordFile, $"is the record of '{record.Kind}', not of a training run", "name the folder of a training run");
        try
        {
            return record.Options.Deserialize<TrainingPlan>(JsonFormat.Document) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new KoalaException(folder.RecordFile, $"options are not those of a training run ({e.Message.TrimEnd('.')})", "use the Koala that wrote it", e);
        }
    }

    private static void Begin(RunFolder folder, TrainingPlan plan, IReadOnlyList<string> command) =>
        folder.WriteRecord(RunRecord.Begin(Kind, command, JsonSerializer.SerializeToNode(plan, JsonFormat.Document)!,
            new Dictionary<string, long> { ["training"] = plan.Training.Seed }, plan.Device, plan.Dtype));

    private static void Check(TrainingPlan plan, Target target, TrainingData data)
    {
        if (!target.Identity.Matches(plan.TargetIdentity))
            throw new KoalaException(plan.Target, $"is {target.Identity}, but this run was begun with {plan.TargetIdentity}", "restore the target, or start a new run");
        if (data.Hash != plan.DataHash)
            throw new KoalaException(plan.Data, "is not what this run was begun with, or the target's tokenizer is not", "restore the file, or start a new run");
    }

    private static void Continue(RunFolder folder, Target target, TrainingData data, TrainingPlan plan, IProgress<TrainingProgress>? progress, CancellationToken cancel)
    {
        Check(plan, target, data);
        if (!IsFinished(folder)) TrainToTheEnd(folder, target, data, plan, progress, cancel);
        if (!plan.WithControl) return;

        // A run of its own: the same in all but the adversary.
        var control = ControlOf(folder);
        using var held = RunLock.Acquire(control);
        if (!RunFolder.IsRun(control.Path)) Begin(control, plan.Control, folder.ReadRecord().Command);
        if (!IsFinished(control)) TrainToTheEnd(control, target, data, plan.Control, progress, cancel);
    }

    private static void TrainToTheEnd(RunFolder folder, Target target, TrainingData data, TrainingPlan plan, IProgress<TrainingProgress>? progress, CancellationToken cancel)
    {
        folder.WriteRecord(folder.ReadRecord().Resume());
        try
        {
            using var head = DraftHead.Create(plan.Head, target, plan.Training.Seed);
            head.ChooseVocabulary(data.CountTokens(target.Config.VocabularySize), target);
            using var trainer = new Trainer(target, head, data, plan.Training);
            var checkpoints = new CheckpointStore(folder.CheckpointsFolder);
            if (LatestState(checkpoints) is { } latest) trainer.LoadState(latest.Folder);
            using var log = MetricsLog.Resume(folder.MetricsFile, trainer.StepsDone);

            trainer.Run(
                metrics =>
                {
                    log.Append(metrics.Step, metrics.Values);
                    progress?.Report(new TrainingProgress(folder, metrics, plan.Training.Steps));
                },
                () =>
                {
                    log.Sync();
                    checkpoints.Save(trainer.StepsDone, trainer.SaveState);
                },
                cancel);
            // In the target's dtype: it was rounded to it whenever it was used, in training too.
            head.Save(folder.HeadFolder, HeadCard.Create(head, plan, MetricsLog.Read(folder.MetricsFile)), target.Dtype);
            folder.WriteRecord(folder.ReadRecord().End(RunState.Finished));
        }
        catch (OperationCanceledException)
        {
            Record(folder, RunState.Interrupted, null);
            throw;
        }
        catch (Exception e)
        {
            Record(folder, RunState.Failed, e.Message);
            throw;
        }
    }

    // Null: nothing has been saved yet, and training begins at step 0. Where states were saved but all of them are damaged, beginning at
    // step 0 would silently lose what the run has done; that is an error.
    private static Checkpoint? LatestState(CheckpointStore checkpoints)
    {
        var latest = checkpoints.Latest();
        if (latest is null && checkpoints.Skipped.FirstOrDefault(p => !p.Unfinished) is { } damaged)
            throw new KoalaException(damaged.Folder, $"is no whole training state ({damaged.Reason}), and there is no other", "restore it, or start a new run");
        return latest;
    }

    private static void Record(RunFolder folder, RunState state, string? failure)
    {
        try
        {
            folder.WriteRecord(folder.ReadRecord().End(state, failure));
        }
        catch (KoalaException)
        {
            // The same full disk, often: what ended the run is the error to tell, and without this line readers see that it died.
        }
    }

    private static RunFolder ControlOf(RunFolder folder)
    {
        if (RunFolder.IsRun(folder.ControlFolder)) return RunFolder.Open(folder.ControlFolder);
        // What a crash left before the record was written.
        if (Directory.Exists(folder.ControlFolder)) Directory.Delete(folder.ControlFolder, recursive: true);
        return RunFolder.Create(folder.ControlFolder);
    }

    private static bool IsFinished(RunFolder folder) => folder.ReadRecord().State == RunState.Finished;
}

/// <summary>A step of a training run.</summary>
/// <param name="Folder">The run; the control is a run of its own.</param>
/// <param name="Metrics">The step's.</param>
/// <param name="Steps">Of the whole run.</param>
public sealed record TrainingProgress(RunFolder Folder, StepMetrics Metrics, int Steps);
