using System.Text.Json.Nodes;
using Koala.Lab.Evaluation;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;
using Koala.Lab.Training;
using TorchSharp;

namespace Koala.Lab.Sweeps;

/// <summary>
/// A sweep on disk: sweep.json holds the plan, and each cell is a run in <c>cells/NAME</c>, with its reports in <c>results</c>.
/// </summary>
[TypeFormatterSource]
public sealed class Sweep
{
    private const string RecordName = "sweep.json";

    private Sweep(string folder, SweepPlan plan, int threads)
    {
        Folder = folder;
        Plan = plan;
        Threads = threads;
    }

    /// <summary>The folder, as a full path.</summary>
    public string Folder { get; }

    /// <summary>The plan.</summary>
    public SweepPlan Plan { get; }

    /// <summary>The number of threads of a CPU operation in all cells.</summary>
    public int Threads { get; }

    /// <summary>Whether a folder holds a sweep.</summary>
    public static bool Exists(string folder) => File.Exists(Path.Combine(folder, RecordName));

    /// <summary>Opens a sweep, which may still be running.</summary>
    /// <exception cref="KoalaException">The folder holds no sweep, or its record cannot be read.</exception>
    public static Sweep Load(string folder)
    {
        if (!Exists(folder)) throw new KoalaException(folder, $"is not a sweep: it contains no {RecordName}", "name the folder of a sweep");
        var file = Path.Combine(folder, RecordName);
        var record = SweepRecord.Read(file);
        if (record.Plan is not JsonObject plan || CanonicalJson.Hash(plan) != record.PlanHash)
        {
            throw new KoalaException(file, "holds a plan that was edited: it is not the one that the cells belong to",
                "restore the file, or begin a new sweep");
        }
        return new Sweep(Path.GetFullPath(folder), SweepPlan.Create(plan), record.Threads);
    }

    /// <summary>Begins a sweep in a folder, or opens the one that is there if it has the same plan.</summary>
    /// <param name="folder">The folder; it is created if needed.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="processes">The number of processes on this machine that will share its cores.</param>
    /// <exception cref="KoalaException">
    /// The folder holds a sweep with another plan, or something else; or the target, a file or the device of the plan is not there.
    /// </exception>
    public static Sweep CreateOrLoad(string folder, SweepPlan plan, int processes = 1)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (!Exists(folder))
        {
            CheckFree(folder);
            Begin(folder, plan, processes);
        }
        var sweep = Load(folder);
        return plan.DifferenceFrom(sweep.Plan) is { } difference
            ? throw new KoalaException(folder, $"holds another sweep: {difference}",
                $"choose another {new OptionName(nameof(RunFolder))}, give the plan of this sweep, or remove the folder")
            : sweep;
    }

    /// <summary>The run of a cell, which need not have begun.</summary>
    public RunFolder RunOf(SweepCell cell)
    {
        ArgumentNullException.ThrowIfNull(cell);
        return RunFolder.At(Path.Combine(Folder, "cells", cell.Name));
    }

    /// <summary>The file of a report, which is there when the evaluation is done.</summary>
    public string ReportOf(SweepCell cell, SweepEvaluation evaluation)
    {
        ArgumentNullException.ThrowIfNull(evaluation);
        return Path.Combine(RunOf(cell).ResultsFolder, $"{evaluation.Name}.json");
    }

    /// <summary>What is known about each cell now.</summary>
    /// <exception cref="KoalaException">The record of a cell cannot be read.</exception>
    public IReadOnlyList<CellStatus> ReadStatus() => [.. Plan.Cells.Select(cell => CellStatus.Read(this, cell))];

    /// <summary>The means and intervals over the seeds of all cells that are finished.</summary>
    /// <exception cref="KoalaException">A report or a record cannot be read.</exception>
    public SweepSummary Summarize() => SweepSummary.Create(this);

    /// <summary>
    /// Removes the reports of evaluations that other work disturbed, so that they are measured again. Cells that a process works on are
    /// left as they are.
    /// </summary>
    /// <returns>The number of reports that were removed.</returns>
    /// <exception cref="KoalaException">A report cannot be read or removed.</exception>
    public int RemoveDisturbedReports()
    {
        var removed = 0;
        foreach (var cell in Plan.Cells.Where(cell => RunFolder.IsRun(RunOf(cell).Path)))
        {
            using var claim = RunLock.TryAcquire(RunOf(cell));
            if (claim is null) continue;
            var reports = cell.Evaluations.Select(evaluation => ReportOf(cell, evaluation)).Where(File.Exists);
            foreach (var report in reports.Where(report => ReportFiles.Load(report).Disturbed == true).ToArray())
            {
                ReportFiles.Remove(report);
                removed++;
            }
        }
        return removed;
    }

    /// <summary>Whether all of a cell is done: its training and its evaluations.</summary>
    internal bool IsDone(SweepCell cell)
    {
        var run = RunOf(cell);
        return RunFolder.IsRun(run.Path) && TrainingRun.IsDone(run)
            && cell.Evaluations.All(evaluation => File.Exists(ReportOf(cell, evaluation)));
    }

    /// <summary>The summary as the command prints it.</summary>
    public override string ToString() => Summarize().ToString();

    // What the beginning of a sweep leaves that was stopped before it wrote its record is a lock.
    private static void CheckFree(string folder)
    {
        var holds = Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName) : [];
        if (File.Exists(folder) || holds.Any(name => !IsLeftOver(name!)))
        {
            throw new KoalaException(folder, "exists already and is not a sweep",
                $"choose another {new OptionName(nameof(RunFolder))}, or remove it");
        }
    }

    private static bool IsLeftOver(string name) =>
        name is "lock" or "lock.json" || Runtime.Files.AtomicFile.TargetOfTemporary(name) is "lock.json" or RecordName;

    private static void Begin(string folder, SweepPlan plan, int processes)
    {
        plan.CheckFiles();
        var record = new SweepRecord
        {
            Plan = plan.Canonical,
            PlanHash = plan.Hash,
            Threads = plan.Threads ?? Math.Max(1, torch.get_num_threads() / processes),
            Started = TimeProvider.System.GetUtcNow(),
        };
        // Other processes may begin the same sweep at this moment. The first one decides, and the others read what it has written.
        while (!Exists(folder))
        {
            using var beginning = RunLock.TryAcquire(RunFolder.At(folder));
            if (beginning is not null && !Exists(folder)) record.Write(Path.Combine(folder, RecordName));
        }
    }
}
