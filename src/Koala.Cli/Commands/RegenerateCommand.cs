using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Decoding;
using Koala.Lab.Regeneration;

namespace Koala.Cli.Commands;

/// <summary>
/// <c>koala regenerate</c>: the target answers a file of prompts or chats in large batches. The answers are training
/// data for heads.
/// </summary>
internal sealed class RegenerateCommand
{
    private readonly Streams _streams;
    private readonly ModelOptions _model = new();
    private readonly SamplingOptions _sampling = new(() =>
        new GenerationOptions { MaxTokens = RegenerationOptions.DefaultMaxTokens });
    private readonly Option<string?> _prompts = SharedOptions.Text("--prompts", "FILE",
        "The file to answer (JSON lines, also .gz): prompts in any form that koala generate reads, "
        + "or chats, whose answers are replaced.");
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FILE",
        "The file of chats to write, in the order of the prompts; compressed if the name ends in .gz. It must not exist yet.");
    private readonly Option<int?> _limit = SharedOptions.OptionalInteger("--limit",
        "Use the first N lines. Default: all.");
    private readonly Option<int?> _batch = SharedOptions.OptionalInteger("--batch",
        "Prompts that are answered as a batch. Default: 64 on a CPU, 512 on a GPU.");
    private readonly Option<string?> _system = SharedOptions.Text("--system", "TEXT",
        "A system message before chats that have none. Default: none.");
    private readonly Option<bool> _resume = SharedOptions.Flag("--resume",
        "Go on with an interrupted run; give the other options again as they were.");
    private readonly Option<bool> _json = SharedOptions.Flag("--json",
        "Print each chat as JSON on standard output when it is complete.");
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private RegenerateCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new RegenerateCommand(streams);
        var command = new Command("regenerate", "Let a target answer a file of prompts in large batches: training data for heads.");
        foreach (var option in (Option[])[self._model.Target, self._prompts, self._out]) option.Required = true;
        self._model.AddTo(command);
        command.AddOptions(self._prompts, self._out, self._limit, self._batch, self._system);
        self._sampling.AddTo(command, drafts: false);
        command.AddOptions(self._resume, self._json, self._quiet);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var options = new RegenerationOptions
        {
            Prompts = result.GetValue(_prompts)!,
            Out = result.GetValue(_out)!,
            Limit = result.GetValue(_limit),
            System = result.GetValue(_system),
            Generation = _sampling.Read(result),
            Batch = result.GetValue(_batch),
            Resume = result.GetValue(_resume),
        };
        options.Validate();
        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result);
        RegenerationReport? report = null;
        RegenerationProgress? last = null;
        try
        {
            ProgressLine.Run(_streams, result.GetValue(_quiet), show =>
            {
                var text = new RegenerationProgressText(show);
                var progress = new Progress(value => text.Report(last = value));
                Action<string>? printChat = result.GetValue(_json) ? _streams.Output.WriteLine : null;
                report = Regenerator.Run(target, options, printChat, progress, interruption.Token);
            });
        }
        catch (OperationCanceledException)
        {
            _streams.Error.WriteLine(InterruptionText(options, last));
            return ExitCodes.Interrupted;
        }
        _streams.Cell?.SetValue(report!, isPrinted: true);
        (result.GetValue(_json) ? _streams.Error : _streams.Output).WriteLine($"{options.Out}: {report}");
        return ExitCodes.Done;
    }

    private static string InterruptionText(RegenerationOptions options, RegenerationProgress? last)
    {
        if (!Path.Exists(options.Part)) return "interrupted: no answer was complete, so nothing is saved";
        var saved = last is null ? "the answers so far" : $"{last.Done} of {last.Total} answers";
        return $"interrupted: {saved} are saved in {options.Part}. Go on with the same command and --resume";
    }

    // Calls on the thread that reports; System.Progress would post to another thread.
    private sealed class Progress(Action<RegenerationProgress> onReport) : IProgress<RegenerationProgress>
    {
        public void Report(RegenerationProgress value) => onReport(value);
    }
}
