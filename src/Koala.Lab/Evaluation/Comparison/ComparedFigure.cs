using System.Globalization;
using System.Text.Json.Serialization;
using Koala.Lab.Evaluation.Statistics;

namespace Koala.Lab.Evaluation.Comparison;

/// <summary>One figure of both sides.</summary>
/// <param name="Name">The figure's name and unit.</param>
/// <param name="A">A's value; NaN, in JSON null, if it was not measured.</param>
/// <param name="B">B's value.</param>
/// <param name="IsRatio">Whether the change is B divided by A; otherwise it is B minus A.</param>
/// <param name="Change">B against A.</param>
/// <param name="Low">The lower end of the change's 95% interval over prompts and seeds.</param>
/// <param name="High">The upper end.</param>
/// <param name="PValue">
/// The p-value of no change: with one report on each side that of the permutation test over prompts, with several that of Student's t.
/// </param>
public sealed record ComparedFigure(
    string Name, double A, double B, bool IsRatio, double Change, double Low, double High, [property: JsonPropertyName("p")] double PValue)
{
    /// <summary>Why the figure is missing; null if it is there.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Missing { get; init; }

    /// <summary>What the interval says.</summary>
    public Verdict Verdict
    {
        get
        {
            var none = IsRatio ? 1 : 0;
            if (!double.IsFinite(Low) || !double.IsFinite(High)) return Verdict.Unknown;
            return Low > none ? Verdict.Higher : High < none ? Verdict.Lower : Verdict.NotDistinguishable;
        }
    }

    /// <summary>A row of the table.</summary>
    public override string ToString()
    {
        if (Missing is not null) return string.Create(CultureInfo.InvariantCulture, $"{Name,-34}not measured: {Missing}");
        var unit = IsRatio ? "times" : "more";
        var change = string.Create(CultureInfo.InvariantCulture, $"{Change:F3} [{Low:F3}, {High:F3}] {unit}");
        return string.Create(CultureInfo.InvariantCulture, $"{Name,-34}{A,10:F3}{B,10:F3}  {change,-30}{PValue,8:F4}");
    }

    internal static ComparedFigure Create(FigureOfAnswers figure, PairedReports pairs)
    {
        var nothing = new ComparedFigure(
            figure.Name, double.NaN, double.NaN, figure.IsRatio, double.NaN, double.NaN, double.NaN, double.NaN);
        if (figure.IsTimed && pairs.A.Concat(pairs.B).Any(report => report.Disturbed == true))
            return nothing with { Missing = "other work disturbed a measurement" };
        AnswerReport[][] a = [.. pairs.A.Select(pairs.Answers)];
        AnswerReport[][] b = [.. pairs.B.Select(pairs.Answers)];
        // A prompt counts if both sides have the figure for it with every seed.
        int[] counted = [.. Enumerable.Range(0, pairs.Keys.Count)
            .Where(p => a.Concat(b).All(answers => figure.IsKnown(answers[p])))];
        if (counted.Length < Bootstrap.FewestItems)
        {
            return nothing with
            {
                Missing = string.Create(CultureInfo.InvariantCulture, $"{counted.Length} prompts have it, {Bootstrap.FewestItems} needed"),
            };
        }
        var ofA = figure.Estimate([.. a.Select(answers => counted.Select(p => answers[p]).ToArray())]);
        var ofB = figure.Estimate([.. b.Select(answers => counted.Select(p => answers[p]).ToArray())]);
        double[][] differences = [.. ofA.Influences.Zip(ofB.Influences, (x, y) => x.Zip(y, (u, v) => v - u).ToArray())];
        var change = figure.IsRatio ? Math.Log(ofB.Value / ofA.Value) : ofB.Value - ofA.Value;
        var mean = CrossedMean.Of(differences);
        var p = pairs.A.Count > 1 ? mean.PValue(change) : SignFlips.PValue([.. differences[0].Select(difference => difference + change)]);
        double Shown(double value) => figure.IsRatio ? Math.Exp(value) : value;
        return new ComparedFigure(figure.Name, ofA.Value, ofB.Value, figure.IsRatio, Shown(change), Shown(change - mean.HalfWidth),
            Shown(change + mean.HalfWidth), p);
    }
}
