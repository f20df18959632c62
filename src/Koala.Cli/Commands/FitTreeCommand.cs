using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Evaluation.TreeFitting;
using Koala.Lab.Runs;

namespace Koala.Cli.Commands;

/// <summary><c>koala fit-tree</c>: fits a draft tree to a head's acceptance and to this device.</summary>
internal sealed class FitTreeCommand
{
    private readonly Streams _streams;
    private readonly ModelOptions _model = new();
    private readonly DraftOptions _draft = new("");
    private readonly PromptOptions _prompts = new();
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FILE",
        "The file to write: a JSON list of paths, each of which is a list of child ranks. It must not exist yet.");
    private readonly Option<int> _nodes = SharedOptions.Integer("--nodes",
        "The most nodes of the tree; with --by acceptance, the exact number.", () => Defaults.Nodes);
    private readonly Option<string> _by = SharedOptions.Choice("--by",
        "What the tree maximises: speed (tokens per second on this device, from measured rounds) or acceptance alone.",
        () => "speed", "speed", "acceptance");
    private readonly Option<int> _maxTokens = SharedOptions.Integer("--max-tokens", "The most tokens of an answer.",
        () => Defaults.MaxTokens);
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private FitTreeCommand(Streams streams) => _streams = streams;

    private static TreeFitOptions Defaults => new();

    public static Command Create(Streams streams)
    {
        var self = new FitTreeCommand(streams);
        var command = new Command("fit-tree",
            "Fit a draft tree to what a head predicts correctly along the target's greedy answers, "
            + "and to what rounds cost on this device.");
        foreach (var option in (Option[])[self._model.Target, self._prompts.File, self._out]) option.Required = true;
        self._model.AddTo(command);
        self._model.AddWeightsTo(command);
        self._draft.AddTo(command);
        command.AddOptions(self._prompts.File, self._prompts.Limit, self._prompts.Categories);
        command.AddOptions(self._out, self._nodes, self._by, self._maxTokens, self._json, self._quiet);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var options = new TreeFitOptions
        {
            Nodes = result.GetValue(_nodes),
            By = Enum.Parse<TreeFitBy>(result.GetValue(_by)!, ignoreCase: true),
            MaxTokens = result.GetValue(_maxTokens),
            Limits = _streams.Limits,
        };
        options.Validate();
        var file = result.GetValue(_out)!;
        if (Path.Exists(file)) throw new KoalaException(file, "exists already", "choose another --out, or remove it");
        var location = _draft.Find(result)
            ?? throw new KoalaException("--head", "is missing", "give --head FOLDER or --draft-model PATH");
        var prompts = _prompts.Read(result, result.GetValue(_prompts.File)!);
        var provenance = Provenance.Create([.. result.Tokens.Select(token => token.Value)], result.GetValue(_prompts.File));

        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result);
        var source = location.Load(target);
        RoundedTargetNote.Write(_streams, result.GetValue(_quiet), target, source);
        using var disposable = source as IDisposable;
        TreeFitReport? measured = null;
        ProgressLine.Run(_streams, result.GetValue(_quiet), show =>
        {
            var progress = new PromptProgressText(show, "measuring");
            measured = TreeFit.Run(target, source, location.Name, prompts, options, progress, interruption.Token);
        });
        var report = measured! with { Provenance = provenance };
        report.Shape?.Save(file);
        _streams.WriteResult(report, result.GetValue(_json));
        if (report.Shape is null) return DisturbanceNote.ExitCodeOf(_streams, report);
        if (!result.GetValue(_json)) _streams.Output.WriteLine($"the tree is in {file}; use it with: --tree {file}");
        return ExitCodes.Done;
    }
}
