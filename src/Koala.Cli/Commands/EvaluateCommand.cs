using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Data;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Targets;

namespace Koala.Cli.Commands;

/// <summary>
/// <c>koala evaluate</c>: measures a head or another draft source against the baseline, or says which acceptance length
/// a head must reach.
/// </summary>
internal sealed class EvaluateCommand
{
    private readonly Streams _streams;
    private readonly ModelOptions _model = new();
    private readonly SamplingOptions _sampling = new(() => Defaults.Generation);
    private readonly TreeOptions _tree = new();
    private readonly PromptOptions _prompts = new();
    private readonly DraftOptions _draft = new("");
    private readonly Option<string> _untrained = SharedOptions.OptionalChoice("--untrained",
        "Instead of --head: an untrained head of this kind. Koala then needs no prompts and only times rounds. "
        + "It reports the break-even: the acceptance length above which such a head pays on this device.",
        NewHeadOptions.Kinds);
    private readonly Option<string?> _assume = SharedOptions.Text("--assume-acceptance", "SHARES|FILE",
        "With --untrained: the position acceptance that the head would have, such as 0.8,0.7,0.65 (with --tree by child rank: "
        + "0.6:0.1,0.7:0.1), or a report of koala evaluate --out that measured it, on any device. Koala then predicts the speedup.");
    private readonly NewHeadOptions _newHead;
    private readonly Option<int> _batch = SharedOptions.Integer("--batch",
        "Prompts that are answered at once, with the head and without it. When an answer ends, the next prompt takes its "
        + "place.", () => Defaults.Batch);
    private readonly Option<int> _repeats = SharedOptions.Integer("--repeats",
        "Measurements per prompt, alternately with the head and without it; the median counts.", () => Defaults.Repeats);
    private readonly Option<bool> _byLayer = SharedOptions.Flag("--by-layer",
        "Measure what each of the head's K layers adds: the head is stopped after its first layer, its second, and so on (early exit).");
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FILE",
        "Also write the report to this file, as JSON, and the answers one by one to NAME.answers.jsonl beside it, which koala compare "
        + "reads. It must not exist yet.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private EvaluateCommand(Streams streams)
    {
        _streams = streams;
        _newHead = new NewHeadOptions(_untrained);
    }

    private static EvaluationOptions Defaults => new();

    public static Command Create(Streams streams)
    {
        var self = new EvaluateCommand(streams);
        var command = new Command("evaluate",
            "Measure a draft head against the baseline, which is the same target without a head: "
            + "acceptance, speedup, and whether the answers stay the same.");
        self._model.Target.Required = true;
        self._model.AddTo(command);
        self._model.AddWeightsTo(command);
        self._draft.AddTo(command);
        self._prompts.AddTo(command);
        self._sampling.AddTo(command);
        self._tree.AddTo(command);
        command.AddOptions([self._batch, self._repeats, self._byLayer, self._untrained, self._assume, .. self._newHead.Sizes]);
        command.AddOptions(self._out, self._json, self._quiet);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        if (result.Has(_untrained)) CheckUntrained(result);
        else CheckDrafted(result);
        var options = new EvaluationOptions
        {
            Generation = _tree.Read(result, _sampling.Read(result)),
            AllTurns = _prompts.AllTurns(result),
            Batch = result.GetValue(_batch),
            Repeats = result.GetValue(_repeats),
            Limits = _streams.Limits,
        };
        options.Validate();
        if (result.GetValue(_out) is { } file && Path.Exists(file))
            throw new KoalaException(file, "exists already", "choose another --out, or remove it");
        return result.Has(_untrained) ? RunUntrained(result, options) : RunDrafted(result, options);
    }

    private int RunDrafted(ParseResult result, EvaluationOptions options)
    {
        var location = _draft.Find(result)!;
        var prompts = _prompts.Read(result, result.GetValue(_prompts.File)!);
        var provenance = ProvenanceOf(result);
        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result);
        var source = location.Load(target);
        RoundedTargetNote.Write(_streams, result.GetValue(_quiet), target, source);
        using var disposable = source as IDisposable;
        if (result.GetValue(_byLayer))
            return RunByLayer(result, target, source, location.Name, prompts, options, provenance, interruption.Token);
        var measured = EvaluationWork.Run(_streams, result.GetValue(_quiet), target, source, location.Name, prompts, options,
            interruption.Token);
        var report = measured with { Provenance = provenance };
        Print(result, report);
        if (result.GetValue(_out) is { } file) ReportFiles.Save(report, file);
        return EvaluationWork.ExitCodeOf(_streams, report);
    }

    private int RunByLayer(ParseResult result, Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts,
        EvaluationOptions options, Provenance provenance, CancellationToken cancel)
    {
        if (source is not DraftHead head)
        {
            throw new KoalaException(_byLayer.Name, $"is about the layers of a head, but {name} is none",
                "leave it out, or give --head FOLDER");
        }
        LayersReport? measured = null;
        ProgressLine.Run(_streams, result.GetValue(_quiet), show => measured =
            LayersReport.Measure(target, head, name, prompts, options, new PromptProgressText(show, "evaluating"), cancel));
        var report = measured! with { Provenance = provenance };
        Print(result, report);
        if (result.GetValue(_out) is { } file) AtomicFile.WriteText(file, JsonOutput.Document(report) + "\n");
        return report.Layers.Max(row => EvaluationWork.ExitCodeOf(_streams, row.Report));
    }

    private int RunUntrained(ParseResult result, EvaluationOptions options)
    {
        var head = _newHead.Read(result);
        var acceptance = result.GetValue(_assume) is { } assumed ? AssumedAcceptance.Read(assumed) : null;
        var provenance = ProvenanceOf(result);
        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result);
        var report = BreakEvenReport.Measure(
            target, head, options.Generation, options.Batch, options.Limits, interruption.Token) with { Provenance = provenance };
        if (acceptance is not null) report = report.Assuming(acceptance);
        Print(result, report);
        if (result.GetValue(_out) is { } file) AtomicFile.WriteText(file, JsonOutput.Document(report) + "\n");
        return DisturbanceNote.ExitCodeOf(_streams, report);
    }

    private Provenance ProvenanceOf(ParseResult result) =>
        Provenance.Create([.. result.Tokens.Select(token => token.Value)], result.GetValue(_prompts.File));

    private void Print(ParseResult result, object report) =>
        _streams.WriteResult(report, result.GetValue(_json));

    private void CheckDrafted(ParseResult result)
    {
        if (result.FirstGiven([.. _newHead.Sizes, _assume]) is { } size)
        {
            throw new KoalaException(size.Name, "describes a new head, but no new head is made",
                "give --untrained, or leave it out");
        }
        if (!_draft.IsGiven(result))
        {
            throw new KoalaException("--head", "is missing",
                "give --head FOLDER, --head prompt-lookup or --draft-model PATH; "
                + "or --untrained KIND to see what a head must reach");
        }
        if (!result.Has(_prompts.File)) throw new KoalaException(_prompts.File.Name, "is missing", "give --prompts FILE");
    }

    private void CheckUntrained(ParseResult result)
    {
        if (_draft.IsGiven(result))
        {
            throw new KoalaException(_untrained.Name, "is given together with --head or --draft-model, but one of them is measured",
                "leave --head and --draft-model out, or --untrained");
        }
        if (result.FirstGiven(_prompts.File, _prompts.Limit, _prompts.Categories, _prompts.Turns, _repeats, _byLayer) is { } given)
            throw new KoalaException(given.Name, "is about prompts, but --untrained uses none", "leave it out");
    }
}
