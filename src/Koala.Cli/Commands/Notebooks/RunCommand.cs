using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Kernel.Notebooks;
using Koala.Lab;

namespace Koala.Cli.Commands;

/// <summary><c>koala run</c>: runs a notebook without Jupyter.</summary>
internal static class RunCommand
{
    public static Command Create(Streams streams)
    {
        var notebook = SharedOptions.Path("notebook", "The notebook (.ipynb). It stays as it is unless --in-place is given.");
        var output = SharedOptions.Text("--output", "FILE", "Where the notebook is written with its outputs, after every cell.");
        var inPlace = SharedOptions.Flag("--in-place", "Write the outputs into NOTEBOOK itself.");
        var html = SharedOptions.Text("--html", "FILE", "Where one self-contained page of it is written.");
        var parameters = new Option<string[]>("-p") { HelpName = "NAME=VALUE", Description = "A value for a variable of the cell tagged 'parameters'; may be given more than once.", Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false };
        var timeout = new Option<double?>("--timeout") { HelpName = "SECONDS", Description = "How long a cell may take. Default: as long as it likes.", CustomParser = Seconds };
        var (json, quiet) = (SharedOptions.Json(), SharedOptions.Quiet());
        var command = new Command("run", "Run a notebook from its first cell to its last, without Jupyter.") { notebook, output, inPlace, html, parameters, timeout, json, quiet };
        command.SetAction(result =>
        {
            var path = result.GetValue(notebook)!;
            if (result.GetValue(inPlace) && result.GetValue(output) is not null)
                throw new KoalaException("--in-place", "says the same as --output", "give one of the two");
            return Run(streams, path, new RunOptions
            {
                Parameters = [.. (result.GetValue(parameters) ?? []).Select(Pair)],
                TimeoutSeconds = result.GetValue(timeout),
                Output = result.GetValue(inPlace) ? path : result.GetValue(output),
                Html = result.GetValue(html),
            }, result.GetValue(json), result.GetValue(quiet));
        });
        return command;
    }

    private static int Run(Streams streams, string path, RunOptions options, bool json, bool quiet)
    {
        var runner = new NotebookRunner(path, options);
        using var interruption = new Interruption(streams);
        RunResult? result = null;
        ProgressLine.Run(streams, quiet, show => result = runner.RunAsync(new Progress(show), interruption.Token).GetAwaiter().GetResult());
        if (json) streams.Output.WriteLine(JsonOutput.Document(result!));
        if (result!.Failure is not { } failure)
        {
            if (!quiet) streams.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{path}: {result.Cells} cells in {result.Seconds:F1} s"));
            return ExitCodes.Done;
        }
        foreach (var line in failure.Traceback) streams.Error.WriteLine(line);
        streams.Error.WriteLine($"{path}: cell {failure.Cell} of {result.Cells} failed");
        return ExitCodes.CheckFailed;
    }

    private static double? Seconds(ArgumentResult result)
    {
        if (result.Tokens is not [var token]) return null;
        if (double.TryParse(token.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and <= 1e6) return seconds;
        result.AddError($"--timeout is '{token.Value}', but a number of seconds above 0 is expected");
        return null;
    }

    private static KeyValuePair<string, string> Pair(string text) => text.IndexOf('=') is var at and > 0
        ? new(text[..at].Trim(), text[(at + 1)..])
        : throw new KoalaException($"-p {text}", "is no NAME=VALUE", "write it as -p steps=200");

    private sealed class Progress(Report show) : IProgress<RunProgress>
    {
        public void Report(RunProgress value)
        {
            if (value.Line.Length > 0) show(value.Done, value.Total, $"cell {value.Done + 1}/{value.Total}: {(value.Line.Length > 60 ? value.Line[..59] + "…" : value.Line)}", milestone: true);
        }
    }
}
