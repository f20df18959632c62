using System.Globalization;
using System.Text.Json.Serialization;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Comparison;
using Koala.Lab.Evaluation.Statistics;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Statistics;

namespace Koala.Lab.Sweeps;

/// <summary>A figure of one configuration: its mean and the 95% interval over seeds, and over prompts where it has some.</summary>
/// <param name="Mean">The mean; NaN, in JSON null, if it was not measured.</param>
/// <param name="Low">The lower end of the interval; NaN where there are too few seeds or prompts for one.</param>
/// <param name="High">The upper end.</param>
public sealed record SweepFigure(double Mean, double Low, double High)
{
    /// <summary>Why the figure is missing; null if it is there.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Missing { get; init; }

    private const double Confidence = 0.95;

    /// <summary>A figure that was not measured.</summary>
    /// <param name="why">Why.</param>
    internal static SweepFigure Unknown(string why) => new(double.NaN, double.NaN, double.NaN) { Missing = why };

    /// <summary>The mean of a value for each seed, with the interval of Student's t.</summary>
    internal static SweepFigure OverSeeds(IReadOnlyList<double> values)
    {
        if (values.Count == 0 || values.Any(value => !double.IsFinite(value))) return Unknown("not measured");
        var mean = values.Mean();
        if (values.Count == 1) return new SweepFigure(mean, double.NaN, double.NaN);
        var half = StudentT.InvCDF(0, 1, values.Count - 1, (1 + Confidence) / 2) * values.StandardDeviation() / Math.Sqrt(values.Count);
        return new SweepFigure(mean, mean - half, mean + half);
    }

    /// <summary>A figure of answers, whose interval is over seeds and prompts, as those of a comparison are.</summary>
    /// <param name="figure">The figure.</param>
    /// <param name="reports">A report for each seed, of the same prompts.</param>
    internal static SweepFigure OverAnswers(FigureOfAnswers figure, IReadOnlyList<EvaluationReport> reports)
    {
        if (reports.Count == 0) return Unknown("not measured");
        if (figure.IsTimed && reports.Any(report => report.Disturbed == true)) return Unknown("other work disturbed a measurement");
        AnswerReport[][] answers = [.. reports.Select(report => report.Answers.OrderBy(answer => answer.Key).ToArray())];
        var keys = answers[0].Select(answer => answer.Key).ToArray();
        if (answers.Any(row => !row.Select(answer => answer.Key).SequenceEqual(keys))) return Unknown("the seeds have other prompts");
        // A prompt counts if it has the figure with every seed.
        int[] counted = [.. Enumerable.Range(0, keys.Length).Where(p => answers.All(row => figure.IsKnown(row[p])))];
        if (counted.Length == 0) return Unknown("no answer has it");
        var (value, influences) = figure.Estimate([.. answers.Select(row => counted.Select(p => row[p]).ToArray())]);
        if (counted.Length < Bootstrap.FewestItems) return new SweepFigure(value, double.NaN, double.NaN);
        var half = CrossedMean.Of(influences).HalfWidth;
        return figure.IsRatio
            ? new SweepFigure(value, value * Math.Exp(-half), value * Math.Exp(half))
            : new SweepFigure(value, value - half, value + half);
    }

    /// <summary>The mean with its interval, or a dash.</summary>
    /// <param name="format">The format of a number.</param>
    internal string Render(string format)
    {
        if (!double.IsFinite(Mean)) return "-";
        string Number(double value) => value.ToString(format, CultureInfo.InvariantCulture);
        return double.IsFinite(Low) && double.IsFinite(High) ? $"{Number(Mean)} [{Number(Low)}, {Number(High)}]" : Number(Mean);
    }

    /// <summary>The mean with its interval.</summary>
    public override string ToString() => Missing is null ? Render("F2") : $"- ({Missing})";
}
