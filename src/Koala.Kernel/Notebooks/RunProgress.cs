namespace Koala.Kernel.Notebooks;

/// <summary>Where a run stands: a cell begins, or all are done.</summary>
/// <param name="Done">Code cells done.</param>
/// <param name="Total">Code cells in all.</param>
/// <param name="Line">The first line of the cell that runs now; empty at the end.</param>
public readonly record struct RunProgress(int Done, int Total, string Line);
