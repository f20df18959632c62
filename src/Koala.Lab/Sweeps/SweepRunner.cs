using System.Text.Json;
using Koala.Lab.Data;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Native;
using Koala.Lab.Targets;
using Koala.Lab.Training;
using TorchSharp;

namespace Koala.Lab.Sweeps;

/// <summary>
/// Works on the cells of a sweep in their order. Several processes, also on several machines with a shared disk, can work on one sweep:
/// each cell is done by the process that holds its lock, a finished one is skipped, and one whose process was killed is continued.
/// </summary>
/// <remarks>The target is loaded once, and data once as long as consecutive cells have the same rows.</remarks>
public sealed class SweepRunner : IDisposable
{
    // How often a process that has nothing left looks whether another one has died with a cell.
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly Sweep _sweep;
    private readonly IReadOnlyList<SweepCell> _cells;
    private readonly IReadOnlyList<string> _command;
    private readonly DateTimeOffset _started = TimeProvider.System.GetUtcNow();
    private readonly HashSet<SweepCell> _failed = [];
    private readonly Dictionary<string, IReadOnlyList<Prompt>> _prompts = [];
    private Target? _target;
    private ((string, string?, int?, int) Key, TrainingData Data)? _data;

    /// <param name="sweep">The sweep.</param>
    /// <param name="cells">The cells that this process works on; null means all. Others are left to other processes.</param>
    /// <param name="command">The command line, which the records of runs and reports keep.</param>
    public SweepRunner(Sweep sweep, IReadOnlyList<SweepCell>? cells = null, IReadOnlyList<string>? command = null)
    {
        ArgumentNullException.ThrowIfNull(sweep);
        _sweep = sweep;
        _cells = cells ?? sweep.Plan.Cells;
        _command = command ?? [];
    }

    /// <summary>How much other work on the machine an evaluation tolerates; beyond it a report has no speeds.</summary>
    public DisturbanceLimits Limits { get; init; } = new();

    /// <summary>Receives a sentence when a cell fails.</summary>
    public Action<string>? Failures { get; init; }

    /// <summary>
    /// Receives a sentence about the data, about a damaged part of a run that is passed over, and when only cells of others are left.
    /// </summary>
    public Action<string>? Notes { get; init; }

    /// <summary>Does all cells that nobody else does, and waits for those that others work on.</summary>
    /// <param name="cancel">Checked between steps of training and rounds of evaluation. The state of a training is saved.</param>
    /// <returns>The number of cells that failed here.</returns>
    /// <exception cref="KoalaException">
    /// The target, or the folder of a cell, is wrong. What is wrong with one training or evaluation is told, and the others go on.
    /// </exception>
    /// <exception cref="OperationCanceledException">The work was cancelled. The same call continues it.</exception>
    public int Run(CancellationToken cancel = default)
    {
        foreach (var cell in _cells) CheckFolder(cell);
        foreach (var evaluation in _cells.SelectMany(cell => cell.Evaluations)) PromptsOf(evaluation);
        CheckData([.. _cells.Where(IsOpen)], cancel);
        var told = false;
        while (true)
        {
            var (worked, held) = (false, new List<string>());
            foreach (var cell in _cells.Where(IsOpen))
            {
                cancel.ThrowIfCancellationRequested();
                using var claim = RunLock.TryAcquire(_sweep.RunOf(cell));
                // Another process may have finished the cell, or failed, just before its lock was free.
                if (claim is null) held.Add(cell.Name);
                else if (IsOpen(cell)) worked |= Try(() => Work(cell, cancel), cell);
            }
            if (!worked && held.Count == 0) return _failed.Count;
            if (worked) continue;
            if (!told) Notes?.Invoke($"waiting for other processes, which work on {MessageText.List(held)}");
            told = true;
            cancel.WaitHandle.WaitOne(s_pause);
        }
    }

    /// <summary>Disposes the target.</summary>
    public void Dispose() => _target?.Dispose();

    // Whether there is something to do that has not failed since this process began.
    private bool IsOpen(SweepCell cell)
    {
        if (_failed.Contains(cell) || _sweep.IsDone(cell)) return false;
        var run = _sweep.RunOf(cell);
        return !RunFolder.IsRun(run.Path) || run.ReadRecord() is not { State: RunState.Failed, Ended: { } ended } || ended < _started;
    }

    // The target and all files are read before anything begins, so that a mistake in the last cell does not show after a night.
    private void CheckData(IReadOnlyList<SweepCell> cells, CancellationToken cancel)
    {
        if (cells.Count == 0) return;
        _target = LoadTarget();
        foreach (var cell in cells) _ = new TrainingPlan(cell.Request, _target, DataOf(cell.Request, _target, cancel));
    }

    // What goes wrong now, such as a loss that is not finite or a batch that is too large, is a result: the other cells go on.
    private bool Try(Action work, SweepCell cell)
    {
        try
        {
            work();
        }
        catch (Exception e) when (e is KoalaException || OutOfMemory.Is(e))
        {
            _failed.Add(cell);
            Failures?.Invoke($"cell {cell.Name} failed: {e.Message.Split('\n')[0]}");
        }
        return true;
    }

    private void Work(SweepCell cell, CancellationToken cancel)
    {
        var run = _sweep.RunOf(cell);
        var target = _target!;
        if (!RunFolder.IsRun(run.Path) || !TrainingRun.IsDone(run))
        {
            using var _ = MachineLock.ToTrain(_sweep.Folder, _sweep.Plan.Device, cancel);
            var data = DataOf(cell.Request, target, cancel);
            var plan = new TrainingPlan(cell.Request, target, data);
            TrainingRun.StartOrResumeLocked(run, target, data, plan, _command, Notes, cancel);
        }
        foreach (var evaluation in cell.Evaluations.Where(evaluation => !File.Exists(_sweep.ReportOf(cell, evaluation))))
        {
            using var _ = MachineLock.ToEvaluate(_sweep.Folder, _sweep.Plan.Device, cancel);
            Evaluate(cell, evaluation, target, cancel);
        }
    }

    private void Evaluate(SweepCell cell, SweepEvaluation evaluation, Target target, CancellationToken cancel)
    {
        using var head = DraftHead.Load(_sweep.RunOf(cell).HeadFolder, target);
        var provenance = Provenance.Create(_command, evaluation.Prompts);
        var options = evaluation.Options with { Limits = Limits };
        var report = Evaluator.Run(target, head, cell.Name, PromptsOf(evaluation), options, null, cancel);
        ReportFiles.Save(report with { Provenance = provenance }, _sweep.ReportOf(cell, evaluation));
    }

    private Target LoadTarget()
    {
        var plan = _sweep.Plan;
        LibTorch.EnsureLoaded();
        // libtorch sets up its threads at the first operation.
        torch.set_num_threads(_sweep.Threads);
        return Target.Load(plan.Target, plan.Dtype, plan.Device);
    }

    private TrainingData DataOf(TrainingRequest request, Target target, CancellationToken cancel)
    {
        var key = (request.Data, request.Validation, request.Training.RowLength, request.Training.Batch);
        if (_data is { } last && last.Key == key) return last.Data;
        var data = TrainingData.Load(target, request.Data, request.Validation, request.Training, cancel);
        CheckIsOfOtherCells(target, data, request);
        foreach (var note in data.Notes) Notes?.Invoke($"data: {note}");
        _data = (key, data);
        return data;
    }

    // A target or data that changed while a sweep was stopped would make its cells incomparable.
    private void CheckIsOfOtherCells(Target target, TrainingData data, TrainingRequest request)
    {
        foreach (var run in _sweep.Plan.Cells.Select(_sweep.RunOf).Where(run => RunFolder.IsRun(run.Path)))
        {
            var begun = TrainingRun.PlanOf(run);
            if (!target.Identity.Matches(begun.TargetIdentity))
            {
                throw new KoalaException(begun.Target, $"is {target.Identity}, but {run.Path} was begun with {begun.TargetIdentity}",
                    "restore the target, or begin a new sweep");
            }
            var isSame = (begun.Data, begun.Validation, begun.Training.RowLength) == (request.Data, request.Validation, data.RowLength);
            if (isSame && begun.DataHash != data.Hash)
            {
                throw new KoalaException(request.Data, $"differs from the file that {run.Path} was trained on",
                    "restore the file, or begin a new sweep");
            }
        }
    }

    private IReadOnlyList<Prompt> PromptsOf(SweepEvaluation evaluation)
    {
        var key = JsonSerializer.Serialize(new { evaluation.Prompts, evaluation.Limit, evaluation.Categories }, JsonFormat.Line);
        if (!_prompts.TryGetValue(key, out var prompts))
            _prompts[key] = prompts = Prompts.Load(evaluation.Prompts, evaluation.Limit, evaluation.Categories);
        return prompts;
    }

    // A folder that this sweep did not write, or that was edited since, is no fault of one training: nothing begins.
    private void CheckFolder(SweepCell cell)
    {
        var run = _sweep.RunOf(cell);
        if (RunFolder.IsRun(run.Path))
        {
            var begun = TrainingRun.PlanOf(run);
            var same = begun with { Training = begun.Training with { RowLength = cell.Request.Training.RowLength } };
            if (Text(same) != Text(cell.Request))
            {
                throw new KoalaException(run.Path, "is a run with other options than this cell of the sweep",
                    "restore it, or remove it to train the cell again");
            }
            if (begun.Threads != _sweep.Threads)
            {
                throw new KoalaException(run.Path, $"is a run with {begun.Threads} threads, but the sweep has {_sweep.Threads}",
                    "restore it, or remove it to train the cell again");
            }
            return;
        }
        if (RunFolder.IsUnused(run.Path)) return;
        throw new KoalaException(run.Path, "has files, but its run.json is missing",
            "restore it, or remove the folder to train the cell again");
    }

    // A run stores the full paths of its files, and so does the plan of a sweep.
    private static string Text(TrainingRequest request) => JsonSerializer.Serialize(request, JsonFormat.Line);
}
