namespace Koala.Kernel;

/// <summary>
/// What <c>#!koala</c> runs: the command line inside a notebook. The kernel does not refer to the command; the program that runs the
/// kernel passes it.
/// </summary>
public interface ICellCommands
{
    /// <summary>Reads what follows <c>#!koala</c> on its line.</summary>
    /// <exception cref="Koala.Lab.KoalaException">The line is not valid.</exception>
    ICellCommand Read(string line);

    /// <summary>The words that may stand in place of the last word of a line, which may be empty.</summary>
    /// <param name="line">The text between <c>#!koala</c> and the cursor.</param>
    IReadOnlyList<string> Complete(string line);
}

/// <summary>A command line of a cell.</summary>
public interface ICellCommand
{
    /// <summary>The name of the variable that is to have the result; null if there is none.</summary>
    string? Variable { get; }

    /// <summary>Runs the command in this process.</summary>
    /// <param name="output">Receives the text that the command prints.</param>
    /// <param name="showProgress">Shows the progress in place of what it showed before; null removes it.</param>
    /// <param name="cancel">Interrupts the command.</param>
    /// <exception cref="OperationCanceledException">The command was interrupted.</exception>
    CellCommandResult Run(TextWriter output, Action<string?> showProgress, CancellationToken cancel);
}

/// <summary>What a command of a cell has come to.</summary>
/// <param name="Fault">Why it has no result; null if nothing went wrong.</param>
/// <param name="Value">The result, which is of a public type; null if there is none.</param>
/// <param name="IsPrinted">Whether the command has printed its result, so that showing the value would repeat it.</param>
public sealed record CellCommandResult(string? Fault, object? Value, bool IsPrinted);
