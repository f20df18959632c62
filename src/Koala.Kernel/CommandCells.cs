using Koala.Kernel.Display;
using Koala.Kernel.Scripting;
using Microsoft.DotNet.Interactive.Formatting;

namespace Koala.Kernel;

/// <summary>Runs <c>#!koala</c>: a command whose result is the value of the cell.</summary>
internal sealed class CommandCells(ICellCommands commands, CSharpSession session)
{
    /// <summary>Runs the command on a line.</summary>
    /// <param name="line">What follows <c>#!koala</c>.</param>
    /// <param name="number">The execution count of the cell.</param>
    /// <param name="cancel">A token that is cancelled when the cell is interrupted.</param>
    /// <exception cref="OperationCanceledException">The cell was interrupted.</exception>
    /// <exception cref="Koala.Lab.KoalaException">The line is not valid.</exception>
    public async Task<CSharpOutcome> RunAsync(string line, int number, CancellationToken cancel)
    {
        var command = commands.Read(line);
        if (command.Variable is { } name) VariableName.Check("--name", name);
        var result = Run(command, cancel);
        if (result.Fault is { } fault) return new CSharpOutcome(false, null, new CellError("KoalaException", fault, fault.Split('\n')));
        if (command.Variable is { } variable)
        {
            if (result.Value is not { } value)
                throw Fault.Create("--name", $"is {variable}, but this command has no result", "leave --name out");
            if (await session.AssignAsync(variable, value, number, cancel) is { } error) return new CSharpOutcome(false, null, error);
        }
        return new CSharpOutcome(result is { Value: not null, IsPrinted: false }, result.Value, null);
    }

    // The command gets a thread that no interrupt wakes: a wait that ended while it saves its state would damage the state. Its token
    // tells it to end.
    private static CellCommandResult Run(ICellCommand command, CancellationToken cancel)
    {
        CellCommandResult? result = null;
        Exception? exception = null;
        using var output = CellConsole.CreateWriter("stdout");
        var thread = new Thread(() =>
        {
            try
            {
                result = command.Run(output, new ProgressDisplay().Show, cancel);
            }
#pragma warning disable CA1031 // The exception goes to the thread that waits.
            catch (Exception e)
#pragma warning restore CA1031
            {
                exception = e;
            }
        })
        { IsBackground = true, Name = "command" };
        thread.Start();
        while (!HasEnded(thread)) { }
        return exception is null ? result! : throw exception;
    }

    private static bool HasEnded(Thread thread)
    {
        try
        {
            thread.Join();
            return true;
        }
        catch (ThreadInterruptedException)
        {
            return false;
        }
    }

    /// <summary>One line of text in the cell's output, which is replaced as the work goes on.</summary>
    private sealed class ProgressDisplay
    {
        private DisplayedValue? _displayed;

        public void Show(string? text)
        {
            if (_displayed is not null) _displayed.Update(text ?? "");
            else if (text is not null) _displayed = Displays.Content(MimeBundle.PlainText, text);
        }
    }
}
