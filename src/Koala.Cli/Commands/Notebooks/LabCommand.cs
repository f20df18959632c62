using System.CommandLine;
using System.CommandLine.Parsing;
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
        var rest = new Argument<string[]>("options")
        {
            HelpName = "-- OPTIONS",
            Arity = ArgumentArity.ZeroOrMore,
            Description = "What follows -- goes to Jupyter as it is, such as -- --no-browser --port 9999.",
        };
        var command = new Command("lab", "Install the C# kernel, and open JupyterLab or Jupyter Notebook.") { path, rest };
        command.SetAction(result =>
        {
            // The parser does not tell which arguments come after --.
            var words = result.Tokens.Select(token => token.Value).ToArray();
            var end = Array.FindIndex([.. result.Tokens], token => token.Type == TokenType.DoubleDash);
            var forJupyter = end < 0 ? [] : words[(end + 1)..];
            string[] given = [.. new[] { result.GetValue(path) }.OfType<string>(), .. result.GetValue(rest) ?? []];
            var before = given[..^forJupyter.Length];
            if (before.Length > 1) throw new KoalaException(before[1], "is one path too many", "put options of Jupyter after --");
            return Run(streams, before.FirstOrDefault(), forJupyter);
        });
        return command;
    }

    private static int Run(Streams streams, string? path, string[] forJupyter)
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
        using var process = Process.Start(new ProcessStartInfo(program, path is null ? forJupyter : [path, .. forJupyter]))!;
        process.WaitForExit();
        return process.ExitCode == 0 ? ExitCodes.Done : ExitCodes.CheckFailed;
    }
}
