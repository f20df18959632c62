using Koala.Lab.Charts.Drawing;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Statistics;

namespace Koala.Lab.Charts.Figures;

/// <summary>The charts of speedup and throughput.</summary>
internal static class SpeedFigures
{
    public static Plot Speedup(IReadOnlyList<EvaluationReport> reports)
    {
        var points = reports.Select((r, i) => new Point(i, r.Speedup.Median, r.Speedup.Low, r.Speedup.High));
        var values = new ValueAxis("speedup, median and 95% interval", "F2", FromZero: false);
        var names = ReportNames.Create(reports).Zip(reports, (name, report) => $"{name}{Note(report)}");
        return new Plot("Speedup", new KeyAxis("head", [.. names]), values,
            [new Series("speedup", Mark.Point, Colours.Blue, [.. points])])
        {
            Horizontal = true,
            Rules = [new Rule(1, "1 = no gain")],
        };
    }

    public static Plot ThroughputByLayers(IReadOnlyList<LayerSweepPoint> points)
    {
        var byLayers = points.GroupBy(p => p.K).OrderBy(g => g.Key);
        var baseline = byLayers.Select(g => new Point(g.Key, g.Average(p => p.Report.Baseline.TokensPerSecond)));
        var sides = points.GroupBy(p => p.Series).Select((side, i) => new Series(side.Key, Mark.LineAndPoint, Colours.At(i),
            [.. side.OrderBy(p => p.K).Select(p => new Point(p.K, p.Report.Speculative.TokensPerSecond))]));
        return new Plot("Throughput by K", new KeyAxis("K (layers of the head)"), new ValueAxis("tokens/s", "F1"),
            [new Series("baseline", Mark.LineAndPoint, Colours.Muted, [.. baseline]) { Dashed = true }, .. sides]);
    }

    // Why a head has no point, or its point no interval.
    private static string Note(EvaluationReport report)
    {
        if (EvaluationTable.SpeedsMissing(report) is not null)
            return report.Disturbed == true ? " (not measured: the machine was busy)" : " (not measured)";
        return IntervalText.Missing(report.Speedup, report.Batch) is { } missing ? $" ({missing})" : "";
    }
}
