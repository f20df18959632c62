using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Cost;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;

namespace Koala.Cli.Commands;

/// <summary><c>koala evaluate</c>: measures a head, or what drafts in its place, against its target alone; or what a head would have to reach.</summary>
internal sealed class EvaluateCommand
{
    private readonly Streams _streams;
    private readonly ModelOptions _model = new("on a CPU the faster of the two here, bf16 on a GPU");
    private readonly SamplingOptions _sampling = new(() => new EvaluationOptions().Generation);
    private readonly TreeOptions _tree = new();
    private readonly PromptOptions _prompts = new();
    private readonly DraftOptions _draft = new("");
    private readonly Option<string> _untrained = SharedOptions.ChoiceOrNone("--untrained",
        "In place of --head: a head of this kind that was never trained. Only rounds are timed, and no prompts are needed: the answer is the acceptance length above which it would pay here.", NewHeadOptions.Kinds);
    private readonly NewHeadOptions _new;
    private readonly Option<int> _batch = SharedOptions.Whole("--batch", "Prompts answered side by side, on both sides alike.", () => new EvaluationOptions().Batch);
    private readonly Option<int> _repeats = SharedOptions.Whole("--repeats", "Times each prompt is measured, both sides in turn; the median counts.", () => new EvaluationOptions().Repeats);
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FILE", "Write the report to this file as well, as JSON.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private EvaluateCommand(Streams streams) => (_streams, _new) = (streams, new NewHeadOptions(_untrained));

    public static Command Create(Streams streams)
    {
        var self = new EvaluateCommand(streams);
        var command = new Command("evaluate", "Measure a draft head against its target alone: acceptance, speedup, and whether answers stay the same.");
        self._model.Target.Required = true;
        self._model.AddTo(command);
        self._draft.AddTo(command);
        self._prompts.AddTo(command);
        self._sampling.AddTo(command);
        self._tree.AddTo(command);
        foreach (Option option in (Option[])[self._batch, self._repeats, self._untrained, .. self._new.Sizes, self._out, self._json, self._quiet]) command.Options.Add(option);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        CheckTogether(result);
        var options = new EvaluationOptions
        {
            Generation = _tree.Read(result, _sampling.Read(result)),
            AllTurns = _prompts.AllTurns(result),
            Batch = result.GetValue(_batch),
            Repeats = result.GetValue(_repeats),
        };
        options.Validate();
        if (result.GetValue(_out) is { } file && Path.Exists(file)) throw new KoalaException(file, "exists already", "choose another --out, or remove it");
        return result.Has(_untrained) ? Untrained(result, options) : Drafted(result, options);
    }

    private int Drafted(ParseResult result, EvaluationOptions options)
    {
        var place = _draft.Find(result)!;
        var prompts = _prompts.Read(result, result.GetValue(_prompts.File)!);
        var provenance = ProvenanceOf(result);
        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result, fastest: true);
        var source = place.Load(target);
        using var owned = source as IDisposable;
        var report = EvaluationWork.Run(_streams, result.GetValue(_quiet), target, source, place.Name, prompts, options, interruption.Token)
            with { Provenance = provenance };
        Write(result, report);
        return EvaluationWork.Judge(_streams, report);
    }

    private int Untrained(ParseResult result, EvaluationOptions options)
    {
        var head = _new.Read(result);
        var provenance = ProvenanceOf(result);
        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result, fastest: true);
        Write(result, BreakEvenReport.Measure(target, head, options.Generation, options.Batch, interruption.Token) with { Provenance = provenance });
        return ExitCodes.Done;
    }

    private Provenance ProvenanceOf(ParseResult result) => Provenance.Create([.. result.Tokens.Select(token => token.Value)], result.GetValue(_prompts.File));

    private void Write(ParseResult result, object report)
    {
        _streams.Output.WriteLine(result.GetValue(_json) ? JsonOutput.Document(report) : report.ToString()!.TrimEnd());
        if (result.GetValue(_out) is { } file) AtomicFile.WriteText(file, JsonOutput.Document(report) + "\n");
    }

    private void CheckTogether(ParseResult result)
    {
        if (!result.Has(_untrained))
        {
            if (_new.Sizes.FirstOrDefault(result.Has) is { } size)
                throw new KoalaException(size.Name, "says what head to make, but none is made", "give --untrained, or leave it out");
            if (!_draft.IsGiven(result)) throw new KoalaException("--head", "is missing", "give --head FOLDER, --head prompt-lookup or --draft-model PATH; or --untrained KIND to see what a head would have to reach");
            if (!result.Has(_prompts.File)) throw new KoalaException(_prompts.File.Name, "is missing", "give --prompts FILE");
            return;
        }
        if (_draft.IsGiven(result)) throw new KoalaException(_untrained.Name, "and something that drafts are given, but one is measured", "leave --head and --draft-model out, or --untrained");
        if (((Option[])[_prompts.File, _prompts.Limit, _prompts.Categories, _prompts.Turns, _repeats]).FirstOrDefault(result.Has) is { } other)
            throw new KoalaException(other.Name, "is about prompts, but --untrained asks none", "leave it out");
    }
}
