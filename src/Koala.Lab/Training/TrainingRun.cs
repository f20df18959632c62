using System.Text.Json;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Targets;

namespace Koala.Lab.Training;

/// <summary>
/// Starts and resumes training runs on disk: the record, the metrics, the saved states and the head of a run.
/// </summary>
public static class TrainingRun
{
    /// <summary>The kind of a training run in run.json.</summary>
    public const string Kind = "train";

    /// <summary>Trains a head in a new run folder, and then the controls that the plan asks for.</summary>
    /// <param name="folder">A new run folder.</param>
    /// <param name="target">The target of the plan.</param>
    /// <param name="data">The data of the plan.</param>
    /// <param name="plan">The plan, which was made for this target and this data.</param>
    /// <param name="command">The command line, which the record keeps.</param>
    /// <param name="progress">This receives a report after every step; null means no reports.</param>
    /// <param name="cancel">Training checks this token between steps. If it is cancelled, the state is saved.</param>
    /// <exception cref="KoalaException">The plan, the data or the folder is wrong, or a loss is not finite.</exception>
    /// <exception cref="OperationCanceledException">
    /// Training was cancelled. <see cref="Resume"/> continues it.
    /// </exception>
    public static void Start(
        RunFolder folder, Target target, TrainingData data, TrainingPlan plan, IReadOnlyList<string> command,
        IProgress<TrainingProgress>? progress = null, CancellationToken cancel = default)
    {
        plan.Validate();
        Check(plan, target, data);
        using var runLock = RunLock.Acquire(folder);
        // Another process can have begun a run here since the folder was created.
        RunFolder.CheckIsNoRun(folder.Path);
        Begin(folder, plan, command);
        Continue(folder, target, data, plan, progress, notes: null, cancel);
    }

    /// <summary>Does what <see cref="Start"/> or <see cref="Resume"/> do under a lock of the run that the caller holds.</summary>
    /// <param name="folder">The run's folder. If it has no record yet, the run begins.</param>
    /// <param name="target">The target.</param>
    /// <param name="data">The data.</param>
    /// <param name="plan">The plan of a new run. A run that has begun has its own.</param>
    /// <param name="command">The command line, which a new record keeps.</param>
    /// <param name="notes">See <see cref="Resume"/>.</param>
    /// <param name="cancel">See <see cref="Resume"/>.</param>
    internal static void StartOrResumeLocked(RunFolder folder, Target target, TrainingData data, TrainingPlan plan,
        IReadOnlyList<string> command, Action<string>? notes, CancellationToken cancel)
    {
        if (!RunFolder.IsRun(folder.Path))
        {
            plan.Validate();
            Check(plan, target, data);
            Begin(folder, plan, command);
        }
        var begun = PlanToResume(folder);
        CheckVocabulary(folder, begun, target);
        Continue(folder, target, data, begun, progress: null, notes, cancel);
    }

    /// <summary>
    /// Continues a run that was interrupted, has failed or was killed. On a CPU in fp32 the result is bit-identical.
    /// </summary>
    /// <param name="folder">The folder of the run.</param>
    /// <param name="target">The target of the run's plan.</param>
    /// <param name="data">The data of the run's plan.</param>
    /// <param name="progress">This receives a report after every step; null means no reports.</param>
    /// <param name="notes">
    /// This receives a sentence for each part of the folder that is damaged and that the run can do without, such as its newest state;
    /// null means no sentences.
    /// </param>
    /// <param name="cancel">Training checks this token between steps. If it is cancelled, the state is saved.</param>
    /// <exception cref="KoalaException">
    /// The run is finished, held by another process, or not a training run, its options were edited, or <see cref="Start"/> would throw.
    /// </exception>
    /// <exception cref="OperationCanceledException">Training was cancelled.</exception>
    public static void Resume(
        RunFolder folder, Target target, TrainingData data, IProgress<TrainingProgress>? progress = null,
        Action<string>? notes = null, CancellationToken cancel = default)
    {
        using var runLock = RunLock.Acquire(folder);
        var plan = PlanToResume(folder);
        CheckVocabulary(folder, plan, target);
        Continue(folder, target, data, plan, progress, notes, cancel);
    }

    /// <summary>Whether a training run, including its controls, is finished.</summary>
    /// <exception cref="KoalaException">The folder is not a training run.</exception>
    public static bool IsDone(RunFolder folder)
    {
        if (!IsFinished(folder)) return false;
        var controls = PlanOf(folder).WithControls.Select(folder.ControlFolder);
        return controls.All(control => RunFolder.IsRun(control) && IsFinished(RunFolder.Open(control)));
    }

    /// <summary>The plan of a run that can be resumed.</summary>
    /// <exception cref="KoalaException">The folder is not a training run, or the run is finished.</exception>
    public static TrainingPlan PlanToResume(RunFolder folder)
    {
        var plan = PlanOf(folder);
        if (IsDone(folder))
            throw new KoalaException(folder.Path, $"is finished: all {plan.Training.Steps} steps are done", "start a new run");
        return plan;
    }

    /// <summary>The plan with which a run was started.</summary>
    /// <exception cref="KoalaException">The folder is not a training run, or the plan in it was edited.</exception>
    public static TrainingPlan PlanOf(RunFolder folder)
    {
        var record = folder.ReadRecord();
        if (record.Kind != Kind)
            throw new KoalaException(folder.RecordFile, $"is the record of '{record.Kind}', not of a training run",
                "name the folder of a training run");
        try
        {
            var plan = EarlierOptions.Upgrade(record.Options).Deserialize<TrainingPlan>(JsonFormat.Document)
                ?? throw new JsonException("it is null");
            return record.HasOriginalOptions
                ? plan
                : throw new KoalaException(folder.RecordFile,
                    "options were edited: they are not those that the run was begun with, which its saved states belong to",
                    "restore the file, or start a new run with the other options");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException or ArgumentException)
        {
            throw new KoalaException(folder.RecordFile, $"options are not those of a training run ({e.Message.TrimEnd('.')})",
                "use the version of Koala that wrote it", e);
        }
    }

    private static void Begin(RunFolder folder, TrainingPlan plan, IReadOnlyList<string> command)
    {
        var options = JsonSerializer.SerializeToNode(plan, JsonFormat.Document)!;
        var seeds = new Dictionary<string, long> { ["training"] = plan.Training.Seed };
        folder.WriteRecord(RunRecord.Begin(Kind, command, options, seeds, plan.Device, plan.Dtype));
    }

    private static void Check(TrainingPlan plan, Target target, TrainingData data)
    {
        if (!target.Identity.Matches(plan.TargetIdentity))
            throw new KoalaException(plan.Target, $"is {target.Identity}, but this run was begun with {plan.TargetIdentity}",
                "restore the target, or start a new run");
        if (HoldOut.DividedOtherwise(data.Hash, plan.DataHash))
            throw new KoalaException(plan.Data, "is divided for validation in another way than by the earlier version that began this run",
                "finish the run with that version, or start a new run");
        if (data.Hash != plan.DataHash)
            throw new KoalaException(plan.Data, "differs from the file that this run was begun with, or the target's tokenizer differs",
                "restore the file, or start a new run");
    }

    // The states do not hold the draft vocabulary, and it holds all tokens that end an answer. Versions that wrote no hash of the
    // options knew fewer such tokens of some targets.
    private static void CheckVocabulary(RunFolder folder, TrainingPlan plan, Target target)
    {
        if (plan.Head is EagleOptions { DraftVocabulary: > 0 } && folder.ReadRecord().OptionsHash is null
            && !target.EndIds.SequenceEqual(target.Config.EndOfSequenceIds.Order()))
            throw new KoalaException(folder.Path, "was begun by an earlier version, whose draft vocabulary had other tokens",
                "finish the run with that version, or start a new run");
    }

    private static void Continue(
        RunFolder folder, Target target, TrainingData data, TrainingPlan plan, IProgress<TrainingProgress>? progress,
        Action<string>? notes, CancellationToken cancel)
    {
        Check(plan, target, data);
        if (!IsFinished(folder)) TrainToTheEnd(folder, target, data, plan, progress, notes, cancel);
        foreach (var name in plan.WithControls)
        {
            // A control is a run of its own.
            var control = ControlOf(folder, name);
            using var controlLock = RunLock.Acquire(control);
            if (!RunFolder.IsRun(control.Path)) Begin(control, plan.ControlOf(name), folder.ReadRecord().Command);
            if (!IsFinished(control)) TrainToTheEnd(control, target, data, plan.ControlOf(name), progress, notes, cancel);
        }
    }

    private static void TrainToTheEnd(
        RunFolder folder, Target target, TrainingData data, TrainingPlan plan, IProgress<TrainingProgress>? progress,
        Action<string>? notes, CancellationToken cancel)
    {
        folder.WriteRecord(folder.ReadRecord().Resume());
        try
        {
            using var head = DraftHead.Create(plan.Head, target, plan.Training.Seed);
            head.ChooseVocabulary(data.CountTokens(target.Config.VocabularySize), target);
            using var trainer = new Trainer(target, head, data, plan.Training);
            var checkpoints = new CheckpointStore(folder.CheckpointsFolder);
            var latest = LatestState(checkpoints, notes);
            if (latest is not null) trainer.LoadState(latest.Folder);
            checkpoints.RemoveLeftovers(latest);
            using var log = MetricsLog.Resume(folder.MetricsFile, trainer.StepsDone);
            if (trainer.StepsDone - log.Count is > 0 and var missing)
            {
                notes?.Invoke($"{folder.MetricsFile} lacks {missing} of the {trainer.StepsDone} steps that are done; "
                    + "the run continues without");
            }
            var before = MetricsLog.Read(folder.MetricsFile);
            var learning = new LearningCheck(head, data, plan, trainer.StepsDone, before);
            var collapse = plan.Training.Adversary.Weight > 0 ? new CollapseCheck(folder, before) : null;
            // The head is saved in the target's dtype. Whenever it is used, in training too, its weights are rounded to
            // this dtype.
            void SaveHead() =>
                head.Save(folder.HeadFolder, HeadCard.Create(head, plan, MetricsLog.Read(folder.MetricsFile)), target.Dtype);

            trainer.Run(
                metrics =>
                {
                    log.Append(metrics.Step, metrics.Values);
                    learning.Add(metrics);
                    progress?.Report(new TrainingProgress(folder, metrics, plan.Training.Steps));
                    collapse?.Add(metrics, trainer.SaveState, restore: state =>
                    {
                        trainer.LoadState(state);
                        SaveHead();
                    });
                },
                () =>
                {
                    log.Sync();
                    checkpoints.Save(trainer.StepsDone, trainer.SaveState);
                },
                cancel);
            SaveHead();
            folder.WriteRecord(folder.ReadRecord().End(RunState.Finished));
        }
        catch (OperationCanceledException)
        {
            RecordEnd(folder, RunState.Interrupted, null);
            throw;
        }
        catch (Exception e)
        {
            RecordEnd(folder, RunState.Failed, e.Message);
            throw;
        }
    }

    // Returns null if no state has been saved yet. Training then begins at step 0. If states were saved but all of them
    // are damaged, this is an error: beginning at step 0 would silently lose what the run has done.
    private static Checkpoint? LatestState(CheckpointStore checkpoints, Action<string>? notes)
    {
        var latest = checkpoints.Latest();
        SkippedCheckpoint[] all = [.. checkpoints.Skipped.Where(skipped => !skipped.Unfinished)];
        if (latest is null && all is [var damaged, ..])
            throw new KoalaException(damaged.Folder, $"is not a complete training state ({damaged.Reason}), and there is no other",
                "restore it, or start a new run");
        foreach (var skipped in all)
            notes?.Invoke($"{skipped.Folder} is damaged ({skipped.Reason}); the run continues from step {latest!.Step}");
        return latest;
    }

    private static void RecordEnd(RunFolder folder, RunState state, string? failure)
    {
        try
        {
            folder.WriteRecord(folder.ReadRecord().End(state, failure));
        }
        catch (KoalaException)
        {
            // The cause is often the same, such as a full disk. The caller throws the error that ended the run. Without
            // this record, readers still see that the run has died.
        }
    }

    private static RunFolder ControlOf(RunFolder folder, string name) => RunFolder.IsRun(folder.ControlFolder(name))
        ? RunFolder.Open(folder.ControlFolder(name))
        : RunFolder.Create(folder.ControlFolder(name));

    private static bool IsFinished(RunFolder folder) => folder.ReadRecord().State == RunState.Finished;
}

/// <summary>The progress of a training run after a step.</summary>
/// <param name="Folder">The folder of the run. The control is a run of its own.</param>
/// <param name="Metrics">The metrics of the step.</param>
/// <param name="Steps">The number of steps of the whole run.</param>
public sealed record TrainingProgress(RunFolder Folder, StepMetrics Metrics, int Steps);
