using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Koala.Kernel.Installation;
using Koala.Lab;

namespace Koala.Cli.Commands;

/// <summary><c>koala lab</c>: opens JupyterLab, or Jupyter Notebook, with the kernel at hand.</summary>
internal static class LabCommand
{
    public static Command Create(Streams streams)
    {
        var place = new Argument<string?>("place") { HelpName = "PLACE", Arity = ArgumentArity.ZeroOrOne, Description = "The notebook or folder to open. Default: the current folder." };
        var command = new Command("lab", "Open JupyterLab (or Jupyter Notebook) with the C# kernel.") { place };
        command.SetAction(result => Run(streams, result.GetValue(place)));
        return command;
    }

    private static int Run(Streams streams, string? place)
    {
        if (place is not null && !File.Exists(place) && !Directory.Exists(place)) throw new KoalaException(place, "does not exist", "give a notebook or a folder");
        var program = JupyterProgram.Find() ?? throw new KoalaException("jupyter", "neither JupyterLab nor Jupyter Notebook is on the path",
            "install one (`pip install jupyterlab`, or Debian's jupyter-notebook), or run a notebook without it: koala run NOTEBOOK --html PAGE");
        KernelCommand.Install(streams.Error);
        // Ctrl-C is Jupyter's: it asks whether it shall end.
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = true);
        using var process = Process.Start(new ProcessStartInfo(program, place is null ? [] : [place]))!;
        process.WaitForExit();
        return process.ExitCode == 0 ? ExitCodes.Done : ExitCodes.CheckFailed;
    }
}
