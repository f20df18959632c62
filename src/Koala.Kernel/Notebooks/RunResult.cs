namespace Koala.Kernel.Notebooks;

/// <summary>How a run ended.</summary>
/// <param name="Notebook">The notebook's path.</param>
/// <param name="Cells">Code cells in all.</param>
/// <param name="Ran">Code cells that ran, a failed one included.</param>
/// <param name="Seconds">All of it, the kernel's start included.</param>
/// <param name="Failure">Why it stopped; null: every cell went through.</param>
public sealed record RunResult(string Notebook, int Cells, int Ran, double Seconds, RunFailure? Failure);

/// <summary>The cell at which a run stopped.</summary>
/// <param name="Cell">Which code cell, from 1.</param>
/// <param name="Name">The kind of error.</param>
/// <param name="Message">What it says.</param>
/// <param name="Traceback">The lines a reader sees.</param>
public sealed record RunFailure(int Cell, string Name, string Message, IReadOnlyList<string> Traceback);
