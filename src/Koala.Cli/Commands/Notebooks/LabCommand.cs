using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Koala.Kernel.Installation;
using Koala.Lab;

namespace Koala.Cli.Commands;

/// <summary><c>koala lab</c>: installs the kernel and opens JupyterLab or Jupyter Notebook.</summary>
internal static class LabCommand
{
    public static Command Create(Streams streams)
    {
        var path = new Argument<string?>("path")
        {
            HelpName = "PATH",
            Arity = ArgumentArity.ZeroOrOne,
            Description = "The notebook or folder to open. Default: the current folder.",
        };
        var command = new Command("lab", "Install the C# kernel, and open JupyterLab or Jupyter Notebook.") { path };
        command.SetAction(result => Run(streams, result.GetValue(path)));
        return command;
    }

    private static int Run(Streams streams, string? path)
    {
        if (path is not null && !Path.Exists(path)) throw new KoalaException(path, "does not exist", "give a notebook or a folder");
        var program = JupyterProgram.Find();
        if (program is null)
        {
            throw new KoalaException("jupyter", "neither JupyterLab nor Jupyter Notebook is on the path",
                "install one of them (`pip install jupyterlab`, or Debian's jupyter-notebook), "
                + "or run a notebook without it: koala run NOTEBOOK --html PAGE");
        }
        KernelCommand.Install(streams.Error);
        // Ctrl-C belongs to Jupyter, which asks whether to shut down.
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = true);
        using var process = Process.Start(new ProcessStartInfo(program, path is null ? [] : [path]))!;
        process.WaitForExit();
        return process.ExitCode == 0 ? ExitCodes.Done : ExitCodes.CheckFailed;
    }
}
