using MathNet.Numerics.Distributions;

namespace Koala.Lab.Evaluation.Comparison;

/// <summary>
/// How well the mean of values is known that were measured with some seeds on some prompts, where both are a sample of what could have been
/// taken.
/// </summary>
/// <remarks>
/// Seeds and prompts are crossed random effects, whose variances are estimated from mean squares. Each part of the mean's variance gets the
/// quantile of Student's t with its own degrees of freedom, and half the interval's width is the root of the sum of their squares: with
/// three seeds a t of two degrees for what seeds bring, and nearly a normal quantile for what prompts bring. A percentile bootstrap of
/// three to five seeds claims far too narrow intervals, and one t with Satterthwaite's degrees of freedom somewhat too narrow ones.
/// </remarks>
/// <param name="OfSeeds">The part of the mean's variance that seeds bring beyond what prompts and chance do.</param>
/// <param name="Seeds">The number of seeds.</param>
/// <param name="OfPrompts">The part that prompts and chance bring.</param>
/// <param name="Prompts">The number of prompts.</param>
internal sealed record CrossedMean(double OfSeeds, int Seeds, double OfPrompts, int Prompts)
{
    private const double Confidence = 0.95;

    /// <summary>Half the width of the 95% interval.</summary>
    public double HalfWidth => HalfWidthOf(Confidence);

    /// <summary>Estimates it from values, <c>[seeds][prompts]</c>, of at least two prompts.</summary>
    public static CrossedMean Of(double[][] values)
    {
        var (seeds, prompts) = (values.Length, values[0].Length);
        double[] bySeed = [.. values.Select(row => row.Average())];
        double[] byPrompt = [.. Enumerable.Range(0, prompts).Select(p => values.Average(row => row[p]))];
        var mean = bySeed.Average();
        var ofPrompts = seeds * byPrompt.Sum(value => Square(value - mean)) / (prompts - 1);
        var ofSeeds = 0.0;
        if (seeds > 1)
        {
            var rest = Enumerable.Range(0, seeds)
                .Sum(s => Enumerable.Range(0, prompts).Sum(p => Square(values[s][p] - bySeed[s] - byPrompt[p] + mean)));
            var square = prompts * bySeed.Sum(value => Square(value - mean)) / (seeds - 1);
            ofSeeds = Math.Max(0, square - rest / ((seeds - 1.0) * (prompts - 1)));
        }
        return new CrossedMean(ofSeeds / (seeds * prompts), seeds, ofPrompts / (seeds * prompts), prompts);
    }

    /// <summary>The two-sided p-value of a mean if the true one is 0: one less the confidence whose interval just reaches 0.</summary>
    public double PValue(double mean)
    {
        if (OfSeeds + OfPrompts == 0) return mean == 0 ? 1 : 0;
        var (low, high) = (0.0, 1.0);
        for (var step = 0; step < 60; step++)
        {
            var middle = (low + high) / 2;
            if (HalfWidthOf(middle) < Math.Abs(mean)) low = middle;
            else high = middle;
        }
        return 1 - low;
    }

    private double HalfWidthOf(double confidence)
    {
        double Part(double variance, int count) =>
            variance == 0 ? 0 : variance * Square(StudentT.InvCDF(0, 1, count - 1, (1 + confidence) / 2));
        return Math.Sqrt(Part(OfSeeds, Seeds) + Part(OfPrompts, Prompts));
    }

    private static double Square(double value) => value * value;
}
