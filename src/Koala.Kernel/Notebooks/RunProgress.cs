namespace Koala.Kernel.Notebooks;

/// <summary>The progress of a run, before each cell and at the end.</summary>
/// <param name="Done">The number of code cells that are done.</param>
/// <param name="Total">The number of all code cells.</param>
/// <param name="Line">The first line of code of the cell that runs now; empty at the end.</param>
public readonly record struct RunProgress(int Done, int Total, string Line);
