namespace Koala.Kernel.Notebooks;

/// <summary>The result of a run.</summary>
/// <param name="Notebook">The path of the notebook.</param>
/// <param name="Cells">The number of all code cells.</param>
/// <param name="Ran">
/// The number of code cells that ran, including a failed one; empty cells and those tagged <c>skip-execution</c> do not run.
/// </param>
/// <param name="Seconds">The duration of the run in seconds, including the start of the kernel.</param>
/// <param name="Failure">The failure that stopped the run; null if every cell succeeded.</param>
public sealed record RunResult(string Notebook, int Cells, int Ran, double Seconds, RunFailure? Failure);

/// <summary>The cell at which a run stopped.</summary>
/// <param name="Cell">The number of the code cell, from 1.</param>
/// <param name="Name">The kind of error.</param>
/// <param name="Message">The message of the error.</param>
/// <param name="Traceback">The lines that a reader sees.</param>
public sealed record RunFailure(int Cell, string Name, string Message, IReadOnlyList<string> Traceback);
