using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Reflection;
using Koala.Cli.Commands;
using Koala.Cli.Commands.Runs;
using Koala.Cli.Help;
using Koala.Lab;
using Koala.Lab.Runtime;

namespace Koala.Cli;

/// <summary>The command <c>koala</c>: it turns arguments into output and an exit code.</summary>
public static class KoalaCommand
{
    // A prompt may begin with "@", and Koala's options are words, not combinations of letters.
    private static readonly ParserConfiguration s_parsing = new() { ResponseFileTokenReplacer = null, EnablePosixBundling = false };

    /// <summary>Runs the command in this process.</summary>
    /// <param name="args">The arguments, without the program's name.</param>
    /// <param name="output">Receives the results.</param>
    /// <param name="error">Receives everything else.</param>
    /// <param name="input">What <c>-</c> reads; null means empty.</param>
    /// <param name="cancel">Interrupts long work, as Ctrl-C does.</param>
    /// <returns>One of <see cref="ExitCodes"/>.</returns>
    public static int Run(
        IReadOnlyList<string> args,
        TextWriter output,
        TextWriter error,
        TextReader? input = null,
        CancellationToken cancel = default) =>
        Run(args, new Streams(output, error, input ?? TextReader.Null, cancel));

    internal static int Run(IReadOnlyList<string> args, Streams streams)
    {
        var (exitCode, fault) = Execute(args, streams);
        if (fault is not null) streams.Error.WriteLine(fault);
        return exitCode;
    }

    /// <summary>Runs the command, and leaves it to the caller to show a fault.</summary>
    /// <returns>The exit code, and why it is not that of a result: one line, unless the fault is Koala's own.</returns>
    internal static (int ExitCode, string? Fault) Execute(IReadOnlyList<string> args, Streams streams)
    {
        var result = Build(streams, args).Parse(args, s_parsing);
        if (result.Errors.Count > 0 && result.Action is not { ClearsParseErrors: true })
            return (ExitCodes.WrongInput, ParseFault.Line(result));
        try
        {
            var invocation = new InvocationConfiguration
            {
                Output = streams.Output,
                Error = streams.Error,
                EnableDefaultExceptionHandler = false,
            };
            return (result.Invoke(invocation), null);
        }
        catch (KoalaException e)
        {
            var command = result.CommandResult.Command;
            return (ExitCodes.WrongInput, e.MessageWith(name => OptionNames.Find(name, command)).ReplaceLineEndings(" "));
        }
        catch (OperationCanceledException)
        {
            return (ExitCodes.Interrupted, "interrupted");
        }
        catch (Exception e) when (OutOfMemory.Is(e))
        {
            return (ExitCodes.WrongInput, $"the device is out of memory ({Sizes(e.Message)}). "
                + "Fix: lower --batch, --row-length or --max-tokens, use --dtype bf16, or use a smaller target.");
        }
        catch (Exception e)
        {
            return (ExitCodes.Fault, $"{e}{Environment.NewLine}This is a fault in Koala itself: please report it with the lines above "
                + $"and the output of '{CommandName.AsTyped} doctor'.");
        }
    }

    /// <summary>The verbs, options and values that may stand at the end of a command line in a notebook.</summary>
    internal static IEnumerable<string> Complete(string line) =>
        ForNotebooks().Parse(line, s_parsing).GetCompletions(line.Length).Select(item => item.Label);

    /// <summary>The command as notebooks have it, to look at.</summary>
    internal static Command ForNotebooks()
    {
        var streams = new Streams(TextWriter.Null, TextWriter.Null, TextReader.Null, default) { Cell = new NotebookCell(_ => { }) };
        return Build(streams, []);
    }

    internal static Command Build(Streams streams, IReadOnlyList<string> args)
    {
        var root = new Command("koala", $"Train, run and measure draft heads of language models.\n\n{ExitCodes.Help}");
        root.Options.Add(new HelpOption("--help", "-h") { Action = new HelpPage() });
        root.Options.Add(new VersionOption { Action = new PrintVersion(streams) });
#if NOTEBOOKS
        // Jupyter waits for the kernel, which starts sooner if the other commands are not created.
        if (streams.Cell is null && args is ["kernel", ..]) root.Subcommands.Add(KernelCommand.Create(streams));
        else
#endif
        AddCommands(root, streams);
        root.SetAction(new HelpPage().Invoke);
        return root;
    }

    private static void AddCommands(Command root, Streams streams)
    {
        root.Subcommands.Add(DemoCommand.Create(streams));
        root.Subcommands.Add(DoctorCommand.Create(streams));
        root.Subcommands.Add(PullCommand.Create(streams));
        root.Subcommands.Add(InspectCommand.Create(streams));
        root.Subcommands.Add(TokenizeCommand.Create(streams));
        root.Subcommands.Add(DataCommand.Create(streams));
        root.Subcommands.Add(GenerateCommand.Create(streams));
        root.Subcommands.Add(RegenerateCommand.Create(streams));
        root.Subcommands.Add(TrainCommand.Create(streams));
        root.Subcommands.Add(EvaluateCommand.Create(streams));
        root.Subcommands.Add(SweepCommand.Create(streams));
        root.Subcommands.Add(CompareCommand.Create(streams));
        root.Subcommands.Add(GateCommand.Create(streams));
        root.Subcommands.Add(CostCommand.Create(streams));
        root.Subcommands.Add(FitTreeCommand.Create(streams));
        root.Subcommands.Add(RunsCommand.Create(streams));
        root.Subcommands.Add(ExportHeadCommand.Create(streams));
        root.Subcommands.Add(PushCommand.Create(streams));
        root.Subcommands.Add(BundleCommand.Create(streams));
#if CHARTS
        root.Subcommands.Add(ReportCommand.Create(streams));
#else
        root.Subcommands.Add(WithoutNotebooks.Create("report"));
#endif
#if NOTEBOOKS
        root.Subcommands.Add(RunCommand.Create(streams));
        // These two run until Jupyter ends, and a notebook has its kernel already.
        if (streams.Cell is not null) return;
        root.Subcommands.Add(KernelCommand.Create(streams));
        root.Subcommands.Add(LabCommand.Create(streams));
#else
        if (streams.Cell is not null) return;
        foreach (var name in (string[])["run", "kernel", "lab"]) root.Subcommands.Add(WithoutNotebooks.Create(name));
#endif
    }

    // The part of libtorch's message that says how much was requested and how much is free.
    // The advice that follows it is not for users of Koala.
    private static string Sizes(string message)
    {
        var line = message.Split('\n')[0];
        var end = line.IndexOf(" is free.", StringComparison.Ordinal);
        return end < 0 ? line.TrimEnd('.') : line[..(end + " is free".Length)];
    }

    private sealed class PrintVersion(Streams streams) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var version = typeof(KoalaCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!;
            streams.Output.WriteLine(version.InformationalVersion.Split('+')[0]);
            return ExitCodes.Done;
        }
    }
}
