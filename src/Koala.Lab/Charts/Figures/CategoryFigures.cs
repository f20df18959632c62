using Koala.Lab.Charts.Drawing;
using Koala.Lab.Evaluation;

namespace Koala.Lab.Charts.Figures;

/// <summary>The charts of an evaluation's categories.</summary>
internal static class CategoryFigures
{
    public static Plot AcceptanceLength(EvaluationReport report)
    {
        var lengths = report.ByCategory.Select(c => c.AcceptanceLength);
        var points = lengths.Select((length, i) => new Point(i, length.Mean, length.Low, length.High));
        return Create("Acceptance length by category", "acceptance length, mean and 95% interval", report, points) with
        {
            Rules = [new Rule(report.AcceptanceLength.Mean, "all prompts")],
        };
    }

    public static Plot Speedup(EvaluationReport report)
    {
        var points = report.ByCategory.Select((c, i) => new Point(i, c.Speedup.Median, c.Speedup.Low, c.Speedup.High));
        return Create("Speedup by category", "speedup, median and 95% interval", report, points) with
        {
            Rules = [new Rule(1, "1 = no gain")],
        };
    }

    private static Plot Create(string title, string values, EvaluationReport report, IEnumerable<Point> points) => new(
        title,
        new KeyAxis("category", [.. report.ByCategory.Select(c => c.Category.Length == 0 ? "no category" : c.Category)]),
        new ValueAxis(values, "F2", FromZero: false),
        [new Series(title, Mark.Point, Colours.Blue, [.. points])])
    {
        Horizontal = true,
    };
}
