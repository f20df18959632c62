using Koala.Kernel;

namespace Koala.Cli.Commands;

/// <summary>The command for the cells of Koala's kernel, which does not refer to it.</summary>
internal sealed class CellCommands : ICellCommands
{
    public ICellCommand Read(string line) => new CellCommand(NotebookCommand.Parse(line));

    public IReadOnlyList<string> Complete(string line) => NotebookCommand.Complete(line);

    private sealed class CellCommand(NotebookCommand command) : ICellCommand
    {
        public string? Variable => command.Variable;

        public CellCommandResult Run(TextWriter output, Action<string?> showProgress, CancellationToken cancel)
        {
            var (fault, value, isPrinted) = command.Run(output, showProgress, cancel);
            return new CellCommandResult(fault, value, isPrinted);
        }
    }
}
