using System.CommandLine;
using Koala.Cli.Options;
using Koala.Kernel.Wire;

namespace Koala.Cli.Commands;

/// <summary><c>koala kernel</c>: the Jupyter kernel itself, and its installation.</summary>
internal static class KernelCommand
{
    public static Command Create()
    {
        var connection = SharedOptions.Text("--connection-file", "FILE", "The connection file that Jupyter wrote.");
        connection.Required = true;
        var start = new Command("start", "Run the kernel; Jupyter does this.") { connection };
        start.SetAction(result =>
        {
            KernelProgram.Run(result.GetValue(connection)!);
            return ExitCodes.Done;
        });
        return new Command("kernel", "Install or run the Jupyter kernel for C#.") { start };
    }
}
