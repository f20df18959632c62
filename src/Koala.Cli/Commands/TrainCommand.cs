using System.CommandLine;
using System.Globalization;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Data;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Comparison;
using Koala.Lab.Runs;
using Koala.Lab.Targets;
using Koala.Lab.Training;

namespace Koala.Cli.Commands;

/// <summary>
/// <c>koala train</c>: trains a head in a run folder, or resumes a run; can evaluate the head at the end.
/// </summary>
internal sealed class TrainCommand
{
    private const string Runs = "runs";

    private readonly Streams _streams;
    private readonly ModelOptions _model = new();
    private readonly TrainOptions _training = new();
    private readonly Option<string?> _resume = SharedOptions.Text("--resume", "RUN",
        "Go on with this run and all the options that it was started with.");
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FOLDER",
        $"The run's folder, which must not exist yet, or be empty. Default: a new folder under {Runs}.");
    private readonly Option<string?> _evaluate = SharedOptions.Text("--evaluate", "FILE",
        "Measure the trained head on this file of prompts at the end. Default: no measurement.");
    private readonly Option<int> _limit = SharedOptions.Integer("--limit",
        "With --evaluate: use the first N prompts.", () => 20);
    private readonly Option<int> _maxTokens = SharedOptions.Integer("--max-tokens",
        "With --evaluate: the most tokens of an answer.", () => new EvaluationOptions().Generation.MaxTokens);
    private readonly Option<bool> _tensorBoard = SharedOptions.Flag("--tensorboard",
        "Write TensorBoard's event files into the run's folder. A run that has them goes on with them.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private TrainCommand(Streams streams) => _streams = streams;

    private sealed record TrainSummary(
        string Run, TrainedHead Trained, IReadOnlyList<TrainedHead> Controls, IReadOnlyList<EvaluationReport> Reports,
        IReadOnlyList<ComparisonReport> Comparisons);

    private sealed record TrainedHead(string Head, IReadOnlyList<double> ValidationAccuracy);

    /// <summary>The measurement that <c>--evaluate</c> asks for.</summary>
    /// <param name="File">The file of prompts.</param>
    /// <param name="Prompts">The prompts.</param>
    /// <param name="Options">How they are answered.</param>
    /// <param name="Provenance">What the reports say about their origin.</param>
    private sealed record Evaluation(string File, IReadOnlyList<Prompt> Prompts, EvaluationOptions Options, Provenance Provenance);

    public static Command Create(Streams streams)
    {
        var self = new TrainCommand(streams);
        var command = new Command("train", "Train a draft head for a target, or go on with a run (--resume).");
        self._model.AddTo(command);
        self._training.AddTo(command);
        command.AddOptions(self._out, self._resume, self._tensorBoard);
        command.AddOptions(self._evaluate, self._limit, self._maxTokens, self._json, self._quiet);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var resume = result.GetValue(_resume);
        CheckCombination(result, resume is not null);
        var options = new EvaluationOptions { Limits = _streams.Limits };
        options = options with { Generation = options.Generation with { MaxTokens = result.GetValue(_maxTokens) } };
        options.Validate();
        var prompts = result.GetValue(_evaluate) is { } file ? Prompts.Load(file, result.GetValue(_limit)) : null;

        using var interruption = new Interruption(_streams);
        var resumed = resume is null ? null : RunFolder.Open(resume);
        var resumedPlan = resumed is null ? null : TrainingRun.PlanOf(resumed);
        var request = resumedPlan ?? ReadRequest(result);
        var isDone = resumed is not null && TrainingRun.IsDone(resumed);
        var evaluation = prompts is null ? null : NewEvaluation(result, prompts, options);
        ModelOptions.SetThreads(resumedPlan is null ? result.GetValue(_model.Threads) : resumedPlan.Threads);
        using var target = resumedPlan is null
            ? _model.Load(result)
            : Target.Load(resumedPlan.Target, resumedPlan.Dtype, resumedPlan.Device);
        if (isDone)
        {
            Note(result, $"run: {PathText.Relative(resumed!.Path)} is finished: all {request.Training.Steps} steps are done");
            return Finish(result, resumed, resumedPlan!, target, evaluation, interruption.Token);
        }
        var data = TrainingData.Load(target, request.Data, request.Validation, request.Training, interruption.Token);
        var plan = resumedPlan ?? new TrainingPlan(request, target, data);

        // The folder is created last, so that a mistake found before leaves nothing behind.
        var folder = resumed ?? NewFolder(result, plan);
        Note(result, TrainingSummary.Render(plan, PathText.Relative(folder.Path)));
        // The name of a new folder is a result: nothing else says it to a script.
        var isNamed = result.Has(_out) || result.Has(_resume) || result.GetValue(_json);
        if (result.GetValue(_quiet) && !isNamed) _streams.Output.WriteLine(PathText.Relative(folder.Path));
        var command = result.CommandResult.Command;
        Note(result, $"data: {data.Rows.Count} rows to learn from; held-out accuracy is that of {data.Validation.Count} rows");
        foreach (var note in data.Notes) Note(result, $"data: {note.ToString(name => OptionNames.Find(name, command))}");
        try
        {
            var (arguments, cancel) = (ArgumentsOf(result), interruption.Token);
            ProgressLine.Run(_streams, result.GetValue(_quiet), show =>
            {
                var progress = new TensorBoardProgress(result.GetValue(_tensorBoard), new TrainingProgressText(folder, show));
                if (resumed is null) TrainingRun.Start(folder, target, data, plan, arguments, progress, cancel);
                else TrainingRun.Resume(folder, target, data, progress, note => Note(result, note), cancel);
            });
        }
        catch (OperationCanceledException)
        {
            _streams.Error.WriteLine("interrupted: the state is saved. "
                + $"Go on with: {CommandName.AsTyped} train --resume {PathText.Relative(folder.Path)}");
            return ExitCodes.Interrupted;
        }
        return Finish(result, folder, plan, target, evaluation, interruption.Token);
    }

    private int Finish(ParseResult result, RunFolder folder, TrainingPlan plan, Target target, Evaluation? evaluation,
        CancellationToken cancel)
    {
        RunFolder[] runs = [folder, .. plan.WithControls.Select(name => RunFolder.Open(folder.ControlFolder(name)))];
        var heads = runs.Select(run => new TrainedHead(run.HeadFolder, AccuracyOf(run))).ToArray();
        for (var i = 0; i < heads.Length; i++)
        {
            var accuracies = heads[i].ValidationAccuracy.Select(accuracy =>
                double.IsNaN(accuracy) ? "-" : accuracy.ToString("F3", CultureInfo.InvariantCulture));
            Note(result, $"{(i == 0 ? "head" : Path.GetFileName(runs[i].Path))}: {PathText.Relative(heads[i].Head)}, "
                + $"held-out accuracy {string.Join(" ", accuracies)}");
        }
        try
        {
            var (reports, exitCode) = evaluation is null
                ? ([], ExitCodes.Done)
                : Evaluate(result, runs, target, evaluation, cancel);
            var comparisons = Compare(reports);
            if (!result.GetValue(_json)) foreach (var comparison in comparisons) _streams.Output.WriteLine(comparison);
            var summary = new TrainSummary(folder.Path, heads[0], heads[1..], reports, comparisons);
            _streams.Cell?.SetValue(folder, isPrinted: result.GetValue(_json));
            if (result.GetValue(_json)) _streams.Output.WriteLine(JsonOutput.Document(summary));
            if (evaluation is null)
            {
                Note(result, $"measure it with: {CommandName.AsTyped} evaluate --target {PathText.Relative(plan.Target)} "
                    + $"--head {PathText.Relative(folder.Path)} --prompts data/mt-bench.jsonl --limit 20");
            }
            return exitCode;
        }
        catch (OperationCanceledException)
        {
            _streams.Error.WriteLine("interrupted: the head is trained. Measure it with: "
                + $"{CommandName.AsTyped} train --resume {PathText.Relative(folder.Path)} --evaluate {evaluation?.File}");
            return ExitCodes.Interrupted;
        }
    }

    // The run with the adversary beside each of its controls, as koala compare puts reports side by side.
    private static IReadOnlyList<ComparisonReport> Compare(IReadOnlyList<EvaluationReport> reports) =>
        [.. reports.Skip(1).Select(control => ComparisonReport.Create(control.Head, [control], reports[0].Head, [reports[0]]))];

    // Measures the head of each run: the run itself and its controls.
    private (IReadOnlyList<EvaluationReport> Reports, int ExitCode) Evaluate(ParseResult result, RunFolder[] runs,
        Target target, Evaluation evaluation, CancellationToken cancel)
    {
        var reports = new List<EvaluationReport>();
        var exitCode = ExitCodes.Done;
        foreach (var run in runs)
        {
            var name = HeadLocation.NameOf(run.Path);
            using var head = new HeadLocation(run.HeadFolder, name).Load(target);
            var measured = EvaluationWork.Run(_streams, result.GetValue(_quiet), target, head, name, evaluation.Prompts,
                evaluation.Options, cancel);
            var report = measured with { Provenance = evaluation.Provenance };
            if (!result.GetValue(_json)) _streams.Output.WriteLine(report);
            var file = Path.Combine(run.ResultsFolder, $"{NameWithoutExtensions(evaluation.File)}.json");
            ReportFiles.Save(report, file);
            reports.Add(report);
            exitCode = Math.Max(exitCode, EvaluationWork.ExitCodeOf(_streams, report));
        }
        return (reports, exitCode);
    }

    private Evaluation NewEvaluation(ParseResult result, IReadOnlyList<Prompt> prompts, EvaluationOptions options)
    {
        var file = result.GetValue(_evaluate)!;
        return new Evaluation(file, prompts, options, Provenance.Create(ArgumentsOf(result), file));
    }

    private TrainingRequest ReadRequest(ParseResult result)
    {
        var head = _training.ReadHead(result);
        // The target is loaded later, after all options have been checked.
        CheckGiven(result, _model.Target);
        var request = new TrainingRequest
        {
            // The run stores full paths, so messages about a wrong file are the same now and when the run is resumed.
            Data = Path.GetFullPath(CheckGiven(result, _training.Data)),
            Validation = result.GetValue(_training.Validation) is { } validation ? Path.GetFullPath(validation) : null,
            Head = head,
            Training = _training.ReadTraining(result, head),
            WithControls = result.GetValue(_training.WithControls) ?? [],
        };
        request.Validate();
        if (result.GetValue(_out) is { } path) RunFolder.CheckFree(path);
        return request;
    }

    private RunFolder NewFolder(ParseResult result, TrainingPlan plan) => result.GetValue(_out) is { } path
        ? RunFolder.Create(path)
        : RunFolder.CreateUnder(Runs, $"{plan.Head.Kind}-k{plan.Head.Layers}");

    // A run was started with its threads, dtype and device as well, so none of these may be given with --resume.
    private void CheckCombination(ParseResult result, bool resumes)
    {
        Option[] allowed = [_resume, _tensorBoard, _evaluate, _limit, _maxTokens, _json, _quiet];
        if (resumes && result.FirstGiven(result.CommandResult.Command.Options.Except(allowed)) is { } other)
        {
            throw new KoalaException("--resume",
                $"goes on with all the options that the run was started with, but {other.Name} is given too",
                $"leave {other.Name} out, or start a new run");
        }
        if (!result.Has(_evaluate) && result.FirstGiven(_limit, _maxTokens) is { } given)
        {
            throw new KoalaException(given.Name, "belongs to --evaluate, which is not given",
                "give --evaluate FILE, or leave it out");
        }
    }

    private void Note(ParseResult result, string line)
    {
        if (!result.GetValue(_quiet)) _streams.Error.WriteLine(line);
    }

    private static string CheckGiven(ParseResult result, Option<string?> option) => result.GetValue(option)
        ?? throw new KoalaException(option.Name, "is missing",
            $"give {option.Name} {option.HelpName}, or go on with a run by --resume RUN");

    private static double[] AccuracyOf(RunFolder run)
    {
        if (MetricsLog.Read(run.MetricsFile) is not [.., { Values: var last }]) return [];
        var names = Enumerable.Range(1, last.Count).Select(depth => $"validationAccuracyAtDepth{depth}");
        return [.. names.TakeWhile(last.ContainsKey).Select(name => last[name])];
    }

    private static IReadOnlyList<string> ArgumentsOf(ParseResult result) => [.. result.Tokens.Select(token => token.Value)];

    private static string NameWithoutExtensions(string file) => Path.GetFileName(file).Split('.')[0];
}
