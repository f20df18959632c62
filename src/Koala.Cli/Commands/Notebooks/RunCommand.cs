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
        var notebook = SharedOptions.PathArgument("notebook",
            "The notebook (.ipynb or .dib). It stays as it is unless --in-place is given.");
        var output = SharedOptions.Text("--output", "FILE",
            "Write the notebook with its outputs to this file, after every cell.");
        var inPlace = SharedOptions.Flag("--in-place", "Write the outputs into NOTEBOOK itself.");
        var html = SharedOptions.Text("--html", "FILE", "Write the notebook as one self-contained page to this file.");
        var trust = SharedOptions.Flag("--trust",
            "Keep HTML and scripts of the notebook's Markdown, and of outputs that it came with, on the page. "
            + "Default: only the HTML that its cells made in this run.");
        var parameters = new Option<string[]>("-p")
        {
            HelpName = "NAME=VALUE",
            Description = "A value for a variable of the cell tagged 'parameters'. The option may be given more than once.",
            Arity = ArgumentArity.OneOrMore,
            AllowMultipleArgumentsPerToken = false,
        };
        var timeout = new Option<double?>("--timeout")
        {
            HelpName = "SECONDS",
            Description = "The time limit of each cell. Default: no limit.",
            CustomParser = ReadSeconds,
        };
        var (json, quiet) = (SharedOptions.Json(), SharedOptions.Quiet());
        var command = new Command("run", "Run a notebook from its first cell to its last, without Jupyter.")
            { notebook, output, inPlace, html, trust, parameters, timeout, json, quiet };
        command.SetAction(result =>
        {
            var path = result.GetValue(notebook)!;
            if (result.GetValue(inPlace) && result.GetValue(output) is not null)
            {
                throw new KoalaException("--in-place", "is given together with --output, but the notebook is written once",
                    "give one of them");
            }
            if (result.GetValue(inPlace) && DibFile.Is(path))
            {
                throw new KoalaException("--in-place", $"would write outputs into {path}, but a .dib holds none",
                    "give --output FILE.ipynb");
            }
            return Run(streams, path, new RunOptions
            {
                Parameters = [.. (result.GetValue(parameters) ?? []).Select(ReadParameter)],
                TimeoutSeconds = result.GetValue(timeout),
                Output = result.GetValue(inPlace) ? path : result.GetValue(output),
                Html = result.GetValue(html),
                Trust = result.GetValue(trust),
            }, result.GetValue(json), result.GetValue(quiet));
        });
        return command;
    }

    private static int Run(Streams streams, string path, RunOptions options, bool json, bool quiet)
    {
        var runner = new NotebookRunner(path, options);
        using var interruption = new Interruption(streams);
        RunResult? result = null;
        ProgressLine.Run(streams, quiet, show =>
        {
            var running = runner.RunAsync(new Progress(show), interruption.Token);
            result = running.GetAwaiter().GetResult();
        });
        if (json) streams.Output.WriteLine(JsonOutput.Document(result!));
        if (result!.Failure is not { } failure)
        {
            var summary = string.Create(CultureInfo.InvariantCulture, $"{path}: {result.Cells} code cells in {result.Seconds:F1} s");
            if (!quiet) streams.Error.WriteLine(summary);
            return ExitCodes.Done;
        }
        foreach (var line in failure.Traceback) streams.Error.WriteLine(line);
        streams.Error.WriteLine($"{path}: code cell {failure.Cell} of {result.Cells} failed");
        return ExitCodes.CheckFailed;
    }

    private static double? ReadSeconds(ArgumentResult result)
    {
        if (result.Tokens is not [var token]) return null;
        var isNumber = double.TryParse(token.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds);
        if (isNumber && seconds is > 0 and <= 1e6) return seconds;
        result.AddError($"--timeout is '{token.Value}', but a number of seconds above 0 is expected");
        return null;
    }

    private static KeyValuePair<string, string> ReadParameter(string text) => text.IndexOf('=') is var equals and > 0
        ? new(text[..equals].Trim(), text[(equals + 1)..])
        : throw new KoalaException($"-p {text}", "is not of the form NAME=VALUE", "write it as -p steps=200");

    private sealed class Progress(Report show) : IProgress<RunProgress>
    {
        private const int LongestLine = 60;

        public void Report(RunProgress value)
        {
            if (value.Line.Length == 0) return;
            var line = value.Line.Length > LongestLine ? value.Line[..(LongestLine - 1)] + "…" : value.Line;
            show(value.Done, value.Total, $"code cell {value.Done + 1}/{value.Total}: {line}", milestone: true);
        }
    }
}
