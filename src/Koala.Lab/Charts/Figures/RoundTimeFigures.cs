using Koala.Lab.Charts.Drawing;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;

namespace Koala.Lab.Charts.Figures;

/// <summary>Where a round's time goes.</summary>
internal static class RoundTimeFigures
{
    private const string Title = "Time a round";
    private static readonly string[] s_parts = ["draft", "verify", "bookkeeping"];

    public static Plot ByRound(DecodingTrace trace)
    {
        var (size, title) = Rounds.Bins(trace);
        return new Plot(Title, new KeyAxis(title), new ValueAxis("milliseconds", "F2"),
            Parts(Rounds.Means(trace, size, r => r.DraftMs), Rounds.Means(trace, size, r => r.VerifyMs), Rounds.Means(trace, size, r => r.BookkeepingMs))) { Stacked = true };
    }

    public static Plot ByReport(IReadOnlyList<EvaluationReport> reports)
    {
        IReadOnlyList<Point> Part(Func<RoundTimes, double> ms) => [.. reports.Select((report, i) => new Point(i, ms(report.Round)))];
        return new Plot(Title, new KeyAxis("head", ReportNames.Create(reports)), new ValueAxis("milliseconds, mean of all rounds", "F2"),
            Parts(Part(r => r.DraftMs), Part(r => r.VerifyMs), Part(r => r.BookkeepingMs))) { Stacked = true, Horizontal = true };
    }

    private static IReadOnlyList<Series> Parts(params IReadOnlyList<Point>[] parts) =>
        [.. parts.Select((points, i) => new Series(s_parts[i], Mark.Bar, Colours.At(i), points))];
}
