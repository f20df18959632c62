using System.Globalization;
using Koala.Lab.Charts.Figures;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Results;
using Koala.Lab.Training;
using Microsoft.Data.Analysis;

namespace Koala.Lab.Charts;

/// <summary>Koala's results as data frames for filtering, joining and grouping in a notebook. Times are in milliseconds.</summary>
public static class Table
{
    /// <summary>One row per round: round (from 1), drafted, accepted, committed, draftMs, verifyMs, bookkeepingMs.</summary>
    public static DataFrame From(DecodingTrace trace) => new(
        Column("round", Enumerable.Range(1, trace.Rounds.Count)),
        Column("drafted", trace.Rounds.Select(r => r.Drafted)),
        Column("accepted", trace.Rounds.Select(r => r.Accepted)),
        Column("committed", trace.Rounds.Select(r => r.Committed)),
        Column("draftMs", trace.Rounds.Select(r => r.DraftMs)),
        Column("verifyMs", trace.Rounds.Select(r => r.VerifyMs)),
        Column("bookkeepingMs", trace.Rounds.Select(r => r.BookkeepingMs)));

    /// <summary>
    /// One row per report: head, prompts, acceptanceLength with Low and High, speedup with Low and High, tokensPerSecond,
    /// tokensPerSecondAlone of the baseline, and disturbed: whether other work disturbed the measurement, so that there are no speeds.
    /// </summary>
    public static DataFrame From(params IEnumerable<EvaluationReport> reports)
    {
        EvaluationReport[] all = [.. reports];
        return new DataFrame(
            new StringDataFrameColumn("head", ReportNames.Create(all)),
            Column("prompts", all.Select(r => r.Prompts)),
            Column("acceptanceLength", all.Select(r => r.AcceptanceLength.Mean)),
            Column("acceptanceLengthLow", all.Select(r => r.AcceptanceLength.Low)),
            Column("acceptanceLengthHigh", all.Select(r => r.AcceptanceLength.High)),
            Column("speedup", all.Select(r => r.Speedup.Median)),
            Column("speedupLow", all.Select(r => r.Speedup.Low)),
            Column("speedupHigh", all.Select(r => r.Speedup.High)),
            Column("tokensPerSecond", all.Select(r => r.Speculative.TokensPerSecond)),
            Column("tokensPerSecondAlone", all.Select(r => r.Baseline.TokensPerSecond)),
            Column("disturbed", all.Select(r => r.Disturbed == true)));
    }

    /// <summary>One row per step, with the names of metrics.jsonl; a value that a step does not have is null.</summary>
    public static DataFrame From(IEnumerable<StepMetrics> metrics)
    {
        StepMetrics[] all = [.. metrics];
        var rows = all.Select(m => new Dictionary<string, double>(m.Values)).ToArray();
        var columns = rows.SelectMany(r => r.Keys).Distinct().Select(NamedColumn);
        return new DataFrame(columns.Prepend(Column("step", all.Select(m => m.Step))));

        DataFrameColumn NamedColumn(string name)
        {
            var values = rows.Select(r => r.TryGetValue(name, out var value) && !double.IsNaN(value) ? value : (double?)null);
            return new PrimitiveDataFrameColumn<double>(name, values);
        }
    }

    /// <summary>
    /// The rows of results, such as those of <see cref="RunTable.ToSteps"/>. A column has numbers, truth values or texts; values of mixed
    /// kinds become texts.
    /// </summary>
    public static DataFrame From(ResultTable table)
    {
        ArgumentNullException.ThrowIfNull(table);
        return new DataFrame(table.Columns.Select((name, i) => ResultColumn(name, [.. table.Rows.Select(row => row[i])])));
    }

    /// <summary>One row per run with the standard columns. For others, use <see cref="RunTable.ToTable"/>.</summary>
    public static DataFrame From(RunTable runs)
    {
        ArgumentNullException.ThrowIfNull(runs);
        return From(runs.ToTable());
    }

    private static DataFrameColumn ResultColumn(string name, object?[] values) => values switch
    {
        _ when values.All(value => value is null or double) => new PrimitiveDataFrameColumn<double>(name, values.Cast<double?>()),
        _ when values.All(value => value is null or bool) => new PrimitiveDataFrameColumn<bool>(name, values.Cast<bool?>()),
        _ => new StringDataFrameColumn(name, values.Select(value => Convert.ToString(value, CultureInfo.InvariantCulture))),
    };

    private static PrimitiveDataFrameColumn<T> Column<T>(string name, IEnumerable<T> values)
        where T : unmanaged => new(name, values);
}
