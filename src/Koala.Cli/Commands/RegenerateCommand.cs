using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Decoding;
using Koala.Lab.Regeneration;

namespace Koala.Cli.Commands;

/// <summary><c>koala regenerate</c>: the target answers a file of prompts or chats, many at once, to make data that heads learn from.</summary>
internal sealed class RegenerateCommand
{
    private readonly Streams _streams;
    private readonly ModelOptions _model = new("fp32 on a CPU, bf16 on a GPU");
    private readonly SamplingOptions _sampling = new(() => new GenerationOptions { MaxTokens = RegenerationOptions.StandardMaxTokens });
    private readonly Option<string?> _prompts = SharedOptions.Text("--prompts", "FILE", "What to answer (JSON Lines, also .gz): prompts in any form that generate takes, or chats, whose answers are made anew.");
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FILE", "The chats to write, in the order of the prompts; gzip where it ends in .gz. It must not exist yet.");
    private readonly Option<int?> _limit = SharedOptions.WholeOrNone("--limit", "Take the first N lines. Default: all.");
    private readonly Option<int?> _batch = SharedOptions.WholeOrNone("--batch", "Answers at once. Default: 64 on a CPU, 512 on a GPU.");
    private readonly Option<string?> _system = SharedOptions.Text("--system", "TEXT", "A system message before chats that have none.");
    private readonly Option<bool> _resume = SharedOptions.Flag("--resume", "Go on with an interrupted run, given the same options.");
    private readonly Option<bool> _json = SharedOptions.Flag("--json", "Print each chat as JSON on standard output as it ends.");
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private RegenerateCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new RegenerateCommand(streams);
        var command = new Command("regenerate", "Let a target answer a file of prompts, many at once: training data for heads.");
        foreach (var option in (Option[])[self._model.Target, self._prompts, self._out]) option.Required = true;
        self._model.AddTo(command);
        foreach (Option option in (Option[])[self._prompts, self._out, self._limit, self._batch, self._system]) command.Options.Add(option);
        self._sampling.AddTo(command, drafts: false);
        foreach (Option option in (Option[])[self._resume, self._json, self._quiet]) command.Options.Add(option);
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
                report = Regenerator.Run(target, options, result.GetValue(_json) ? _streams.Output.WriteLine : null,
                    new Progress(value => text.Report(last = value)), interruption.Token);
            });
        }
        catch (OperationCanceledException)
        {
            _streams.Error.WriteLine(Path.Exists(options.Part)
                ? $"interrupted: {(last is null ? "the answers so far" : $"{last.Done} of {last.Total} answers")} are saved in {options.Part}. Go on with the same command and --resume"
                : "interrupted: no answer had ended, so that nothing is saved");
            return ExitCodes.Interrupted;
        }
        (result.GetValue(_json) ? _streams.Error : _streams.Output).WriteLine($"{options.Out}: {report}");
        return ExitCodes.Done;
    }

    // On the thread that reports: System.Progress would post to another.
    private sealed class Progress(Action<RegenerationProgress> act) : IProgress<RegenerationProgress>
    {
        public void Report(RegenerationProgress value) => act(value);
    }
}
