using Koala.Lab.Runs;

namespace Koala.Lab.Sweeps;

/// <summary>Where a cell of a sweep stands.</summary>
/// <param name="Cell">The cell.</param>
/// <param name="State">Its state.</param>
/// <param name="Step">The steps of training that are done.</param>
/// <param name="Evaluated">The evaluations that are done.</param>
/// <param name="Failure">The error that ended its training; otherwise null.</param>
public sealed record CellStatus(SweepCell Cell, CellState State, int Step, int Evaluated, string? Failure = null)
{
    /// <summary>The part of the cell's work that is done, 0 to 1. The training and each evaluation count alike.</summary>
    public double Done => State == CellState.Finished ? 1
        : ((double)Step / Cell.Request.Training.Steps + Evaluated) / (1 + Cell.Evaluations.Count);

    internal static CellStatus Read(Sweep sweep, SweepCell cell)
    {
        var run = sweep.RunOf(cell);
        if (!RunFolder.IsRun(run.Path))
            return new CellStatus(cell, RunLock.IsHeld(run) ? CellState.Training : CellState.Waiting, 0, 0);
        var record = run.ReadRecord();
        var evaluated = cell.Evaluations.Count(evaluation => File.Exists(sweep.ReportOf(cell, evaluation)));
        if (record.State == RunState.Finished)
        {
            var state = evaluated == cell.Evaluations.Count ? CellState.Finished
                : RunLock.IsHeld(run) ? CellState.Evaluating : CellState.Trained;
            return new CellStatus(cell, state, cell.Request.Training.Steps, evaluated);
        }
        var step = MetricsLog.Read(run.MetricsFile) is [.., var last] ? last.Step : 0;
        return new CellStatus(cell, StateOf(record.State), step, evaluated, record.Failure);
    }

    private static CellState StateOf(RunState state) => state switch
    {
        RunState.Running => CellState.Training,
        RunState.Failed => CellState.Failed,
        _ => CellState.Interrupted,
    };
}

/// <summary>The state of a cell.</summary>
public enum CellState
{
    /// <summary>Nothing is done yet.</summary>
    Waiting,

    /// <summary>A process trains the head.</summary>
    Training,

    /// <summary>The training was stopped or killed; the same command continues it.</summary>
    Interrupted,

    /// <summary>An error ended the training.</summary>
    Failed,

    /// <summary>The head is trained and not evaluated yet.</summary>
    Trained,

    /// <summary>A process evaluates the head.</summary>
    Evaluating,

    /// <summary>All is done.</summary>
    Finished,
}
