using Koala.Lab.Charts.Drawing;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;

namespace Koala.Lab.Charts.Figures;

/// <summary>The charts of the parts of a round's time.</summary>
internal static class RoundTimeFigures
{
    private const string Title = "Time per round";
    private static readonly string[] s_parts = ["draft", "verify", "bookkeeping"];

    public static Plot ByRound(DecodingTrace trace)
    {
        var (size, title) = Rounds.Bins(trace);
        IReadOnlyList<Point> Part(Func<Round, double> ms) => Rounds.Means(trace, size, ms);
        var parts = Parts(Part(r => r.DraftMs), Part(r => r.VerifyMs), Part(r => r.BookkeepingMs));
        return new Plot(Title, new KeyAxis(title), new ValueAxis("milliseconds", "F2"), parts) { Stacked = true };
    }

    public static Plot ByReport(IReadOnlyList<EvaluationReport> reports)
    {
        IReadOnlyList<Point> Part(Func<RoundTimes, double> ms) => [.. reports.Select((report, i) => new Point(i, ms(report.Round)))];
        var parts = Parts(Part(r => r.DraftMs), Part(r => r.VerifyMs), Part(r => r.BookkeepingMs));
        var values = new ValueAxis("milliseconds, mean of all rounds", "F2");
        return new Plot(Title, new KeyAxis("head", ReportNames.Create(reports)), values, parts)
        {
            Stacked = true,
            Horizontal = true,
        };
    }

    private static IReadOnlyList<Series> Parts(params IReadOnlyList<Point>[] parts) =>
        [.. parts.Select((points, i) => new Series(s_parts[i], Mark.Bar, Colours.At(i), points))];
}
