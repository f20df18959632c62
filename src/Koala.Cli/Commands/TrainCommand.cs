using System.CommandLine;
using System.Globalization;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Data;
using Koala.Lab.Evaluation;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Targets;
using Koala.Lab.Training;

namespace Koala.Cli.Commands;

/// <summary><c>koala train</c>: trains a head in a run folder, or goes on with a run; may evaluate it at the end.</summary>
internal sealed class TrainCommand
{
    private const string Runs = "runs";

    private readonly Streams _streams;
    private readonly ModelOptions _model = new("fp32 on a CPU, bf16 on a GPU");
    private readonly TrainOptions _training = new();
    private readonly Option<string?> _resume = SharedOptions.Text("--resume", "RUN", "Go on with this run, with all that it was begun with.");
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FOLDER", $"The run's folder, which must not exist yet. Default: a new one under {Runs}.");
    private readonly Option<string?> _evaluate = SharedOptions.Text("--evaluate", "FILE", "Measure the trained head on this file of prompts at the end.");
    private readonly Option<int> _limit = SharedOptions.Whole("--limit", "With --evaluate: take the first N prompts.", () => 20);
    private readonly Option<int> _maxTokens = SharedOptions.Whole("--max-tokens", "With --evaluate: the most tokens of an answer.", () => new EvaluationOptions().Generation.MaxTokens);
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private TrainCommand(Streams streams) => _streams = streams;

    private sealed record TrainSummary(string Run, TrainedHead Trained, TrainedHead? Control, IReadOnlyList<EvaluationReport> Reports);

    private sealed record TrainedHead(string Head, IReadOnlyList<double> ValidationAccuracy);

    public static Command Create(Streams streams)
    {
        var self = new TrainCommand(streams);
        var command = new Command("train", "Train a draft head for a target, or go on with a run (--resume).");
        self._model.AddTo(command);
        self._training.AddTo(command);
        foreach (Option option in (Option[])[self._out, self._resume, self._evaluate, self._limit, self._maxTokens, self._json, self._quiet]) command.Options.Add(option);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var resume = result.GetValue(_resume);
        CheckTogether(result, resume is not null);
        var evaluation = new EvaluationOptions { Generation = new EvaluationOptions().Generation with { MaxTokens = result.GetValue(_maxTokens) } };
        evaluation.Validate();
        var prompts = result.GetValue(_evaluate) is { } file ? Prompts.Load(file, result.GetValue(_limit)) : null;

        using var interruption = new Interruption(_streams);
        var run = resume is null ? null : RunFolder.Open(resume);
        var begun = run is null ? null : TrainingRun.PlanOf(run);
        var request = begun ?? ReadRequest(result);
        var done = run is not null && TrainingRun.IsDone(run);
        var provenance = result.GetValue(_evaluate) is { } asked ? Provenance.Create(Command(result), asked) : null;
        ModelOptions.SetThreads(begun is null ? result.GetValue(_model.Threads) : begun.Threads);
        using var target = begun is null ? _model.Load(result) : Target.Load(begun.Target, begun.Dtype, begun.Device);
        if (done)
        {
            Say(result, $"run: {Shown(run!.Path)} is finished: all {request.Training.Steps} steps are done");
            return Finish(result, run, begun!, target, prompts, provenance, evaluation, interruption.Token);
        }
        var data = TrainingData.Load(target, request.Data, request.Validation, request.Training, interruption.Token);
        var plan = begun ?? new TrainingPlan(request, target, data);

        // Made last, so that nothing is left behind by what was wrong before.
        var folder = run ?? NewFolder(result, plan);
        Say(result, $"{JsonOutput.Listing(plan)}\n\nrun: {Shown(folder.Path)}");
        if (data.Cut > 0) Say(result, $"data: {data.Cut} of {data.Conversations} conversations are longer than a row of {plan.Training.RowLength} tokens and lose their end");
        try
        {
            ProgressLine.Run(_streams, result.GetValue(_quiet), show =>
            {
                var progress = new TrainingProgressText(folder, show);
                if (run is null) TrainingRun.Start(folder, target, data, plan, Command(result), progress, interruption.Token);
                else TrainingRun.Resume(folder, target, data, progress, interruption.Token);
            });
        }
        catch (OperationCanceledException)
        {
            _streams.Error.WriteLine($"interrupted: the state is saved. Go on with: {OwnName.Typed} train --resume {Shown(folder.Path)}");
            return ExitCodes.Interrupted;
        }
        return Finish(result, folder, plan, target, prompts, provenance, evaluation, interruption.Token);
    }

    private int Finish(ParseResult result, RunFolder folder, TrainingPlan plan, Target target, IReadOnlyList<Prompt>? prompts, Provenance? provenance, EvaluationOptions options, CancellationToken cancel)
    {
        var runs = plan.WithControl ? (RunFolder[])[folder, RunFolder.Open(folder.ControlFolder)] : [folder];
        var heads = runs.Select(run => new TrainedHead(run.HeadFolder, AccuracyOf(run))).ToArray();
        for (var i = 0; i < heads.Length; i++)
            Say(result, $"{(i == 0 ? "head" : "control")}: {Shown(heads[i].Head)}, held-out accuracy {string.Join(" ", heads[i].ValidationAccuracy.Select(a => a.ToString("F3", CultureInfo.InvariantCulture)))}");
        try
        {
            return Evaluate(result, folder, plan, target, runs, heads, prompts, provenance, options, cancel);
        }
        catch (OperationCanceledException)
        {
            _streams.Error.WriteLine($"interrupted: the head is trained. Measure it with: {OwnName.Typed} train --resume {Shown(folder.Path)} --evaluate {result.GetValue(_evaluate)}");
            return ExitCodes.Interrupted;
        }
    }

    private int Evaluate(ParseResult result, RunFolder folder, TrainingPlan plan, Target target, RunFolder[] runs, TrainedHead[] heads, IReadOnlyList<Prompt>? prompts,
        Provenance? provenance, EvaluationOptions options, CancellationToken cancel)
    {
        var (reports, code) = (new List<EvaluationReport>(), ExitCodes.Done);
        foreach (var run in prompts is null ? [] : runs)
        {
            var name = run == folder ? Path.GetFileName(folder.Path) : $"{Path.GetFileName(folder.Path)} (control)";
            using var head = new HeadLocation(run.HeadFolder, name).Load(target);
            var report = EvaluationWork.Run(_streams, result.GetValue(_quiet), target, head, name, prompts!, options, cancel)
                with { Provenance = provenance };
            if (!result.GetValue(_json)) _streams.Output.WriteLine(report);
            AtomicFile.WriteText(Path.Combine(run.ResultsFolder, $"{NameOf(result.GetValue(_evaluate)!)}.json"), JsonOutput.Document(report) + "\n");
            reports.Add(report);
            code = Math.Max(code, EvaluationWork.Judge(_streams, report));
        }
        if (result.GetValue(_json)) _streams.Output.WriteLine(JsonOutput.Document(new TrainSummary(folder.Path, heads[0], heads.ElementAtOrDefault(1), reports)));
        if (prompts is null) Say(result, $"measure it with: {OwnName.Typed} evaluate --target {Shown(plan.Target)} --head {Shown(folder.Path)} --prompts data/mt-bench.jsonl --limit 20");
        return code;
    }

    private TrainingRequest ReadRequest(ParseResult result)
    {
        var head = _training.ReadHead(result);
        // Loaded later: first everything that is asked for is checked.
        Needed(result, _model.Target);
        var request = new TrainingRequest
        {
            // Full paths, as the run keeps them: what is said about a wrong file is the same now and when the run is resumed.
            Data = Path.GetFullPath(Needed(result, _training.Data)),
            Validation = result.GetValue(_training.Validation) is { } validation ? Path.GetFullPath(validation) : null,
            Head = head,
            Training = _training.ReadTraining(result, head),
            WithControl = result.GetValue(_training.WithControl),
        };
        request.Validate();
        if (result.GetValue(_out) is { } path) RunFolder.CheckFree(path);
        return request;
    }

    private RunFolder NewFolder(ParseResult result, TrainingPlan plan) => result.GetValue(_out) is { } path
        ? RunFolder.Create(path)
        : RunFolder.CreateUnder(Runs, $"{plan.Head.Kind}-k{plan.Head.Layers}");

    // Threads, dtype and device are part of what a run was begun with, like everything else.
    private void CheckTogether(ParseResult result, bool resumes)
    {
        Option[] free = [_resume, _evaluate, _limit, _maxTokens, _json, _quiet];
        if (resumes && result.CommandResult.Command.Options.Except(free).FirstOrDefault(result.Has) is { } other)
            throw new KoalaException("--resume", $"goes on with all that the run was begun with, but {other.Name} is given too", $"leave {other.Name} out, or start a new run");
        if (!result.Has(_evaluate) && ((Option[])[_limit, _maxTokens]).FirstOrDefault(result.Has) is { } lone)
            throw new KoalaException(lone.Name, "belongs to --evaluate, which is not given", "give --evaluate FILE, or leave it out");
    }

    private void Say(ParseResult result, string line)
    {
        if (!result.GetValue(_quiet)) _streams.Error.WriteLine(line);
    }

    private static string Needed(ParseResult result, Option<string?> option) => result.GetValue(option)
        ?? throw new KoalaException(option.Name, "is missing", $"give {option.Name} {option.HelpName}, or go on with a run by --resume RUN");

    private static double[] AccuracyOf(RunFolder run)
    {
        var last = MetricsLog.Read(run.MetricsFile)[^1].Values;
        return [.. Enumerable.Range(1, last.Count).Select(depth => $"validationAccuracyAtDepth{depth}").TakeWhile(last.ContainsKey).Select(name => last[name])];
    }

    private static IReadOnlyList<string> Command(ParseResult result) => [.. result.Tokens.Select(token => token.Value)];

    private static string NameOf(string file) => Path.GetFileName(file).Split('.')[0];

    // As the user would type it.
    private static string Shown(string path)
    {
        var relative = Path.GetRelativePath(Environment.CurrentDirectory, path);
        return relative.StartsWith("..", StringComparison.Ordinal) ? path : relative;
    }
}
