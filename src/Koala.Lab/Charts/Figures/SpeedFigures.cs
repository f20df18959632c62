using Koala.Lab.Charts.Drawing;
using Koala.Lab.Evaluation;

namespace Koala.Lab.Charts.Figures;

/// <summary>What a head comes to.</summary>
internal static class SpeedFigures
{
    public static Plot Speedup(IReadOnlyList<EvaluationReport> reports) =>
        new("Speedup", new KeyAxis("head", ReportNames.Create(reports)), new ValueAxis("speedup, median and 95% interval", "F2", FromZero: false),
            [new Series("speedup", Mark.Point, Colours.Blue, [.. reports.Select((r, i) => new Point(i, r.Speedup.Median, r.Speedup.Low, r.Speedup.High))])])
        {
            Horizontal = true,
            Rules = [new Rule(1, "1 = no gain")],
        };

    public static Plot ThroughputByLayers(IReadOnlyList<LayerSweepPoint> points)
    {
        var baseline = points.GroupBy(p => p.K).OrderBy(g => g.Key).Select(g => new Point(g.Key, g.Average(p => p.Report.Baseline.TokensPerSecond)));
        var sides = points.GroupBy(p => p.Series).Select((side, i) => new Series(side.Key, Mark.LineAndPoint, Colours.At(i),
            [.. side.OrderBy(p => p.K).Select(p => new Point(p.K, p.Report.Speculative.TokensPerSecond))]));
        return new Plot("Pace by K", new KeyAxis("K (layers of the head)"), new ValueAxis("tokens/s", "F1"),
            [new Series("target alone", Mark.LineAndPoint, Colours.Muted, [.. baseline]) { Dashed = true }, .. sides]);
    }
}
