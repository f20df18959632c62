using System.Globalization;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Evaluation.Diagnosis;

namespace Koala.Lab.Charts.Figures;

/// <summary>The charts of acceptance.</summary>
internal static class AcceptanceFigures
{
    public static Plot ByPosition(IReadOnlyList<(string Name, IReadOnlyList<double> Alphas)> sides)
    {
        var depths = Enumerable.Range(1, sides.Select(s => s.Alphas.Count).DefaultIfEmpty(0).Max());
        string[] names = [.. depths.Select(depth => depth.ToString(CultureInfo.InvariantCulture))];
        return new Plot("Position acceptance", new KeyAxis("depth in the draft", names),
            new ValueAxis("accepted, share of rounds", "F2", High: 1),
            [.. sides.Select((side, i) => new Series(side.Name, Mark.Bar, Colours.At(i), Points(side.Alphas)))]);

        static Point[] Points(IReadOnlyList<double> alphas) => [.. alphas.Select((alpha, depth) => new Point(depth, alpha))];
    }

    public static Plot ByPosition(IReadOnlyList<EvaluationReport> reports) =>
        ByPosition([.. ReportNames.Create(reports).Zip(reports, (name, report) => (name, report.PositionAcceptance))]);

    public static Plot ByDepth(HeadDiagnosis head)
    {
        static Series Line(string name, string colour, IEnumerable<double?> shares, bool isReference = false) => new(name,
            Mark.LineAndPoint, colour,
            [.. shares.Select((share, depth) => new Point(depth + 1, share ?? double.NaN)).Where(point => !double.IsNaN(point.Value))])
        {
            Dashed = isReference,
        };
        var shown = Math.Max(head.TeacherForced.Right.Count, head.FreeRunning.Count);
        return new Plot("Acceptance by depth", new KeyAxis("depth in the draft"), new ValueAxis("accepted, share", "F2", High: 1),
        [
            .. head.References.Select((reference, i) =>
                Line($"{reference}", Colours.At(i + 2), reference.NAlpha.Take(shown), isReference: true)),
            Line("free-running", Colours.Vermilion, head.FreeRunning.Select(share => (double?)share)),
            Line("teacher-forced", Colours.Blue, head.TeacherForced.Right.Select(share => (double?)share)),
        ]);
    }

    public static Plot ByContextLength(IReadOnlyList<EvaluationReport> reports)
    {
        var names = reports.SelectMany(Bins).OrderBy(bin => bin.From).Select(bin => bin.Name).Distinct().ToList();
        IReadOnlyList<ContextBin> Bins(EvaluationReport report) => report.ByContextLength ?? [];
        Point[] Points(EvaluationReport report) =>
            [.. Bins(report).Select(bin => new Point(names.IndexOf(bin.Name), bin.AcceptanceLength))];
        return new Plot("Acceptance length by context length", new KeyAxis("tokens of prompt and answer before the round", names),
            new ValueAxis("tokens per round, mean", "F2"),
            [.. ReportNames.Create(reports).Zip(reports).Select((pair, i) =>
                new Series(pair.First, Mark.Bar, Colours.At(i), Points(pair.Second)))]);
    }

    public static Plot Reliability(EvaluationReport report)
    {
        Point[] points = [.. (report.Calibration?.Bins ?? []).Select(bin => new Point(100 * bin.Confidence, 100 * bin.Accepted))];
        Point[] diagonal = points.Length == 0 ? [] : [new Point(0, 0), new Point(100, 100)];
        return new Plot("Reliability of the confidences", new KeyAxis("confidence in percent, mean of each tenth"),
            new ValueAxis("accepted, percent of tokens", "F0", High: 100),
            [
                new Series("if confidences were right", Mark.Line, Colours.Muted, diagonal) { Dashed = true },
                new Series("accepted", Mark.LineAndPoint, Colours.Blue, points),
            ]);
    }

    public static Plot LengthByRound(DecodingTrace trace)
    {
        var (size, title) = Rounds.Bins(trace);
        var mean = string.Create(CultureInfo.InvariantCulture, $"mean {trace.AcceptanceLength:F2}");
        Series Part(string name, string colour, Func<Round, double> value) => new(name, Mark.Bar, colour, Rounds.Means(trace, size, value));
        return new Plot("Acceptance length by round", new KeyAxis(title), new ValueAxis("tokens committed per round", "0.##"),
            [Part("accepted tokens", Colours.Blue, r => r.Accepted), Part("bonus token", Colours.Orange, _ => 1)])
        {
            Stacked = true,
            Rules = trace.Rounds.Count == 0 ? [] : [new Rule(trace.AcceptanceLength, mean)],
        };
    }
}
