using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Evaluation;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;

namespace Koala.Cli.Commands;

/// <summary><c>koala evaluate</c>: measures a head against its target alone.</summary>
internal sealed class EvaluateCommand
{
    private readonly Streams _streams;
    private readonly ModelOptions _model = new("on a CPU the faster of the two here, bf16 on a GPU");
    private readonly SamplingOptions _sampling = new(() => new EvaluationOptions().Generation);
    private readonly TreeOptions _tree = new();
    private readonly PromptOptions _prompts = new();
    private readonly Option<string?> _head = SharedOptions.Text("--head", "FOLDER", "The draft head: its folder, or the run that trained it.");
    private readonly Option<int> _repeats = SharedOptions.Whole("--repeats", "Times each prompt is measured, both sides in turn; the median counts.", () => new EvaluationOptions().Repeats);
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FILE", "Write the report to this file as well, as JSON.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private EvaluateCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new EvaluateCommand(streams);
        var command = new Command("evaluate", "Measure a draft head against its target alone: acceptance, speedup, and whether answers stay the same.");
        foreach (var option in (Option[])[self._model.Target, self._head, self._prompts.File]) option.Required = true;
        self._model.AddTo(command);
        command.Options.Add(self._head);
        self._prompts.AddTo(command);
        self._sampling.AddTo(command);
        self._tree.AddTo(command);
        foreach (Option option in (Option[])[self._repeats, self._out, self._json, self._quiet]) command.Options.Add(option);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var options = new EvaluationOptions { Generation = _tree.Read(result, _sampling.Read(result)), AllTurns = _prompts.AllTurns(result), Repeats = result.GetValue(_repeats) };
        options.Validate();
        var place = HeadPlace.Find(result.GetValue(_head)!);
        var prompts = _prompts.Read(result, result.GetValue(_prompts.File)!);

        var file = result.GetValue(_out);
        if (file is not null && Path.Exists(file)) throw new KoalaException(file, "exists already", "choose another --out, or remove it");
        var provenance = Provenance.Of([.. result.Tokens.Select(token => token.Value)], result.GetValue(_prompts.File)!);

        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result, fastest: true);
        using var head = place.Load(target);
        var report = EvaluationWork.Run(_streams, result.GetValue(_quiet), target, head, place.Name, prompts, options, interruption.Token)
            with { Provenance = provenance };
        _streams.Output.WriteLine(result.GetValue(_json) ? JsonOutput.Document(report) : report.ToString().TrimEnd());
        if (file is not null) AtomicFile.WriteText(file, JsonOutput.Document(report) + "\n");
        return EvaluationWork.Judge(_streams, report);
    }
}
