using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Comparison;

namespace Koala.Cli.Commands;

/// <summary><c>koala compare</c>: says whether two heads, or two settings, differ, and by how much.</summary>
internal sealed class CompareCommand
{
    private readonly Streams _streams;
    private readonly Argument<string> _a = SharedOptions.PathArgument("a",
        "A report of koala evaluate --out, or a folder of such reports, one for each seed; with --target, a head's folder or "
        + "prompt-lookup.");
    private readonly Argument<string> _b = SharedOptions.PathArgument("b", "The same for the other side.");
    private readonly ModelOptions _model = new();
    private readonly PromptOptions _prompts = new();
    private readonly SamplingOptions _sampling = new(() => new EvaluationOptions().Generation);
    private readonly TreeOptions _tree = new();
    private readonly Option<int> _repeats = SharedOptions.Integer("--repeats",
        "With --target: measurements per prompt, alternately with each head and without it; the median counts.",
        () => new EvaluationOptions().Repeats);
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private CompareCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new CompareCommand(streams);
        var command = new Command("compare",
            "Compare two heads, or two settings, answer by answer: what differs, with 95% intervals over prompts and seeds. The sides are "
            + "reports of koala evaluate, or with --target heads that are measured now, in turns.");
        command.Arguments.Add(self._a);
        command.Arguments.Add(self._b);
        self._model.AddTo(command);
        self._prompts.AddTo(command);
        self._sampling.AddTo(command);
        self._tree.AddTo(command);
        command.AddOptions(self._repeats, self._json, self._quiet);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var (a, b) = (result.GetValue(_a)!, result.GetValue(_b)!);
        if (result.Has(_model.Target)) return RunInTurns(result, a, b);
        if (result.Has(_prompts.File))
        {
            throw new KoalaException(
                _prompts.File.Name, "is given, but reports are compared", "give --target to measure heads, or leave it out");
        }
        Print(result, ComparisonReport.Create(a, Load(a), b, Load(b)));
        return ExitCodes.Done;
    }

    private int RunInTurns(ParseResult result, string a, string b)
    {
        var options = new EvaluationOptions
        {
            Generation = _tree.Read(result, _sampling.Read(result)),
            AllTurns = _prompts.AllTurns(result),
            Repeats = result.GetValue(_repeats),
            Limits = _streams.Limits,
        };
        options.Validate();
        if (!result.Has(_prompts.File)) throw new KoalaException(_prompts.File.Name, "is missing", "give --prompts FILE");
        DraftLocation[] locations = [DraftOptions.FindHead(a), DraftOptions.FindHead(b)];
        var prompts = _prompts.Read(result, result.GetValue(_prompts.File)!);
        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result);
        var sources = new List<(IDraftSource Source, string Name)>();
        try
        {
            foreach (var location in locations) sources.Add((location.Load(target), location.Name));
            IReadOnlyList<EvaluationReport> reports = [];
            ProgressLine.Run(_streams, result.GetValue(_quiet), show => reports = Evaluator.RunInTurns(
                target, sources, prompts, options, new PromptProgressText(show, "comparing"), interruption.Token));
            Print(result, ComparisonReport.Create(a, [reports[0]], b, [reports[1]]));
            return reports.Select(report => EvaluationWork.ExitCodeOf(_streams, report)).Max();
        }
        finally
        {
            foreach (var (source, _) in sources) (source as IDisposable)?.Dispose();
        }
    }

    // One report, or those of a folder in the order of their names.
    private static EvaluationReport[] Load(string path)
    {
        if (!Directory.Exists(path)) return [ReportFiles.Load(path)];
        var files = Directory.GetFiles(path, "*.json").Order(StringComparer.Ordinal).ToArray();
        if (files.Length == 0)
            throw new KoalaException(path, "holds no reports (*.json)", "name a report of koala evaluate --out, or a folder of them");
        return [.. files.Select(ReportFiles.Load)];
    }

    private void Print(ParseResult result, ComparisonReport report) =>
        _streams.WriteResult(report, result.GetValue(_json));
}
