using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Koala.Lab.Runtime;

namespace Koala.Lab.Evaluation.Comparison;

/// <summary>What distinguishes two heads, or two settings of one: the differences of their figures with 95% intervals.</summary>
/// <param name="A">The first side's name.</param>
/// <param name="B">The second side's name.</param>
/// <param name="Target">The target of both.</param>
/// <param name="Seeds">The number of reports on each side.</param>
/// <param name="Prompts">The number of answers that were paired.</param>
/// <param name="Figures">The figures, acceptance first.</param>
[TypeFormatterSource]
public sealed record ComparisonReport(
    string A, string B, string Target, int Seeds, int Prompts, IReadOnlyList<ComparedFigure> Figures)
{
    /// <summary>What the comparison found, in one sentence for acceptance and one for speed.</summary>
    public required string Summary { get; init; }

    /// <summary>Compares reports.</summary>
    /// <param name="nameA">The first side's name.</param>
    /// <param name="a">Its reports, one for each seed.</param>
    /// <param name="nameB">The second side's name.</param>
    /// <param name="b">Its reports, as many.</param>
    /// <exception cref="KoalaException">
    /// They are of different targets, temperatures or prompts, or have no answers beside them.
    /// </exception>
    public static ComparisonReport Create(
        string nameA, IReadOnlyList<EvaluationReport> a, string nameB, IReadOnlyList<EvaluationReport> b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        var pairs = PairedReports.Create(nameA, a, nameB, b);
        ComparedFigure[] figures = [.. FigureOfAnswers.All.Select(figure => ComparedFigure.Create(figure, pairs))];
        return new ComparisonReport(nameA, nameB, a[0].Target, a.Count, pairs.Keys.Count, figures)
        {
            Summary = $"{AcceptanceSentence(nameB, figures[0])}; {SpeedSentence(nameB, figures[1])}.",
        };
    }

    /// <summary>The table that the command prints.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"A: {A}\nB: {B}\non {Target}, {Prompts} answers")
            .Append(Seeds > 1 ? FormattableString.Invariant($", {Seeds} seeds\n\n") : "\n\n")
            .Append(CultureInfo.InvariantCulture, $"{"",-34}{"A",10}{"B",10}  {"B against A, 95 % CI",-30}{"p",8}\n");
        foreach (var figure in Figures) text.Append(figure).Append('\n');
        return text.Append('\n').Append(Summary).Append('\n').ToString();
    }

    private static string AcceptanceSentence(string name, ComparedFigure f) => f.Verdict switch
    {
        Verdict.Higher or Verdict.Lower => string.Create(CultureInfo.InvariantCulture,
            $"{name} accepts {Math.Abs(f.Change):F2} {Interval(f)} tokens per round {(f.Change > 0 ? "more" : "fewer")}"),
        Verdict.NotDistinguishable => string.Create(CultureInfo.InvariantCulture,
            $"acceptance: not distinguishable ({f.Change:+0.00;-0.00;0.00} [{f.Low:F2}, {f.High:F2}] tokens per round)"),
        _ => $"acceptance: not measured ({f.Missing})",
    };

    private static string SpeedSentence(string name, ComparedFigure f) => f.Verdict switch
    {
        Verdict.Higher or Verdict.Lower => string.Create(CultureInfo.InvariantCulture,
            $"{name} is {f.Change:F2} [{f.Low:F2}, {f.High:F2}] times as fast"),
        Verdict.NotDistinguishable => string.Create(CultureInfo.InvariantCulture,
            $"speed: not distinguishable ({f.Change:F2} [{f.Low:F2}, {f.High:F2}] times)"),
        _ => $"speed: not measured ({f.Missing})",
    };

    // Without signs: the sentence says more or fewer.
    private static string Interval(ComparedFigure f) => f.Change > 0
        ? string.Create(CultureInfo.InvariantCulture, $"[{f.Low:F2}, {f.High:F2}]")
        : string.Create(CultureInfo.InvariantCulture, $"[{-f.High:F2}, {-f.Low:F2}]");
}

/// <summary>Whether a figure of B is distinguishable from A's.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Verdict>))]
public enum Verdict
{
    /// <summary>B's is higher: the interval lies above that of no change.</summary>
    [JsonStringEnumMemberName("higher")]
    Higher,

    /// <summary>B's is lower.</summary>
    [JsonStringEnumMemberName("lower")]
    Lower,

    /// <summary>The interval holds the value of no change.</summary>
    [JsonStringEnumMemberName("not distinguishable")]
    NotDistinguishable,

    /// <summary>There is no interval.</summary>
    [JsonStringEnumMemberName("unknown")]
    Unknown,
}
