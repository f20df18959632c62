using System.CommandLine;
using Koala.Cli.Options;
using Koala.Kernel.Installation;
using Koala.Kernel.Jupyter;

namespace Koala.Cli.Commands;

/// <summary><c>koala kernel</c>: installs or runs the Jupyter kernel.</summary>
internal static class KernelCommand
{
    public static Command Create(Streams streams)
    {
        var install = new Command("install", "Install the kernel in Jupyter for this user.");
        install.SetAction(_ => Install(streams.Output));
        var connection = SharedOptions.Text("--connection-file", "FILE", "The connection file that Jupyter wrote.");
        connection.Required = true;
        var report = SharedOptions.Flag("--report-crashes",
            "Run the kernel in a process of its own, and report a crash of it as an error of the cell that ran.");
        var start = new Command("start", "Run the kernel. Jupyter calls this command.") { connection, report };
        start.SetAction(result => result.GetValue(report)
            ? WatchedKernel.Run(result.GetValue(connection)!)
            : Start(result.GetValue(connection)!));
        return new Command("kernel", "Install or run the Jupyter kernel for C#.") { install, start };
    }

    /// <summary>Installs the kernel and prints the folders that it wrote.</summary>
    internal static int Install(TextWriter output)
    {
        var (written, other) = KernelSpecs.Install();
        foreach (var folder in written) output.WriteLine($"{folder}: installed");
        if (other is not null)
        {
            output.WriteLine($"{other}: left as it is; another kernel has the name {KernelSpecs.InteractiveName}. "
                + $"Choose {KernelSpecs.Name} for Koala's kernel");
        }
        return ExitCodes.Done;
    }

    private static int Start(string connectionFile)
    {
        KernelProgram.Run(connectionFile, new CellCommands());
        return ExitCodes.Done;
    }
}
