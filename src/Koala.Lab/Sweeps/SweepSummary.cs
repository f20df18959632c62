using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Comparison;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Sweeps;

/// <summary>What a sweep found: a row for each configuration, which is a cell without its seed, with one of its evaluations.</summary>
/// <param name="Target">The target.</param>
/// <param name="Device">cpu or cuda.</param>
/// <param name="Cells">The number of cells of the plan.</param>
/// <param name="Finished">The number of those that are finished; only these count.</param>
/// <param name="Failed">The cells whose training failed, with the error.</param>
/// <param name="Rows">The rows in the order of the plan.</param>
[TypeFormatterSource]
public sealed record SweepSummary(
    string Target, string Device, int Cells, int Finished, IReadOnlyDictionary<string, string> Failed, IReadOnlyList<SweepRow> Rows)
{
    /// <summary>The seconds of training of all finished cells together.</summary>
    public double TrainingSeconds { get; init; }

    /// <summary>The names of the options that distinguish the rows.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Options => [.. Rows.SelectMany(row => row.Options.Keys).Distinct()];

    internal static SweepSummary Create(Sweep sweep)
    {
        var status = sweep.ReadStatus();
        var finished = status.Where(cell => cell.State == CellState.Finished).Select(cell => cell.Cell).ToArray();
        var failed = status.Where(cell => cell.Failure is not null).ToDictionary(cell => cell.Cell.Name, cell => cell.Failure!);
        var rows = finished
            .GroupBy(cell => Key(cell.Options, SweepOption.Seed), StringComparer.Ordinal)
            .SelectMany(configuration => RowsOf(sweep, [.. configuration]));
        return new SweepSummary(Path.GetFileName(sweep.Plan.Target), sweep.Plan.Device, status.Count, finished.Length, failed, [.. rows])
        {
            TrainingSeconds = finished.Sum(cell => LastOf(sweep, cell).GetValueOrDefault("seconds")),
        };
    }

    /// <summary>The table in Markdown.</summary>
    public string ToMarkdown() => SummaryText.Markdown(this);

    /// <summary>The table with numbers in full, their intervals in columns of their own, separated by commas (RFC 4180).</summary>
    public string ToCsv() => SummaryText.Csv(this);

    /// <summary>The table in LaTeX, for a document that uses the package booktabs.</summary>
    public string ToLatex() => SummaryText.Latex(this);

    /// <summary>The table in Markdown, and what it is about.</summary>
    public override string ToString() => SummaryText.Plain(this);

    // A row for each evaluation; without evaluations one with the figures of training.
    private static IEnumerable<SweepRow> RowsOf(Sweep sweep, SweepCell[] cells)
    {
        var varying = sweep.Plan.Varying;
        IReadOnlyDictionary<string, JsonNode?>[] settings = [.. cells
            .SelectMany(cell => cell.Evaluations)
            .Select(evaluation => evaluation.Settings)
            .DistinctBy(values => Key(values, ""))];
        foreach (var setting in settings.DefaultIfEmpty(new Dictionary<string, JsonNode?>()))
        {
            var reports =
                from cell in cells
                from evaluation in cell.Evaluations
                where Key(evaluation.Settings, "") == Key(setting, "")
                select ReportFiles.Load(sweep.ReportOf(cell, evaluation));
            var options = cells[0].Options.Concat(setting)
                .Where(pair => pair.Key != SweepOption.Seed && varying.Contains(pair.Key));
            yield return RowOf(sweep, cells, options.ToDictionary(), [.. reports]);
        }
    }

    private static SweepRow RowOf(
        Sweep sweep, SweepCell[] cells, Dictionary<string, JsonNode?> options, IReadOnlyList<EvaluationReport> reports)
    {
        var last = cells.Select(cell => LastOf(sweep, cell)).ToArray();
        SweepFigure Trained(string name) => SweepFigure.OverSeeds([.. last.Select(line => line.GetValueOrDefault(name, double.NaN))]);
        return new SweepRow(options, cells[0].Request.Head.Layers, cells.Length)
        {
            AcceptanceLength = SweepFigure.OverAnswers(FigureOfAnswers.AcceptanceLength, reports),
            Speedup = SweepFigure.OverAnswers(FigureOfAnswers.Speedup, reports),
            TokensPerSecond = SweepFigure.OverAnswers(FigureOfAnswers.TokensPerSecond, reports),
            HeldOutAccuracy = Trained("validationAccuracyAtDepth1"),
            TrainingSeconds = Trained("seconds"),
            Lossless = reports.Count == 0 || reports.Any(report => report.Lossless is null) ? null
                : reports.All(report => report.Lossless == true),
            Disturbed = reports.Count(report => report.Disturbed == true),
            Cells = [.. cells.Select(cell => cell.Name)],
        };
    }

    private static IReadOnlyDictionary<string, double> LastOf(Sweep sweep, SweepCell cell) =>
        MetricsLog.Read(sweep.RunOf(cell).MetricsFile) is [.., var last] ? last.Values : new Dictionary<string, double>();

    private static string Key(IEnumerable<KeyValuePair<string, JsonNode?>> options, string without) => string.Join('\n', options
        .Where(pair => pair.Key != without)
        .OrderBy(pair => pair.Key, StringComparer.Ordinal)
        .Select(pair => $"{pair.Key}={pair.Value?.ToJsonString(JsonFormat.Line)}"));
}

/// <summary>A configuration of a sweep.</summary>
/// <param name="Options">The values that distinguish it from other rows, by the names of their options.</param>
/// <param name="Layers">K: the number of layers of the head.</param>
/// <param name="Seeds">The number of finished cells, each with its own seed.</param>
public sealed record SweepRow(IReadOnlyDictionary<string, JsonNode?> Options, int Layers, int Seeds)
{
    /// <summary>The acceptance length τ, with its interval over seeds and prompts.</summary>
    public required SweepFigure AcceptanceLength { get; init; }

    /// <summary>Baseline seconds divided by seconds with the head, all answers together; its interval is over seeds and prompts.</summary>
    public required SweepFigure Speedup { get; init; }

    /// <summary>The tokens per second with the head.</summary>
    public required SweepFigure TokensPerSecond { get; init; }

    /// <summary>The held-out accuracy of the first drafted token at the end of training, with its interval over seeds.</summary>
    public required SweepFigure HeldOutAccuracy { get; init; }

    /// <summary>The cost of a cell: the seconds of its training, without loading and evaluating.</summary>
    public required SweepFigure TrainingSeconds { get; init; }

    /// <summary>Whether all answers were the target's own; null when sampling and without an evaluation.</summary>
    public required bool? Lossless { get; init; }

    /// <summary>The number of evaluations that other work on the machine disturbed, so that they have no speeds.</summary>
    public required int Disturbed { get; init; }

    /// <summary>The names of the cells.</summary>
    public required IReadOnlyList<string> Cells { get; init; }
}
