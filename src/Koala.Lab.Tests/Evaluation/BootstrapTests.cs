using Koala.Lab.Evaluation.Statistics;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Random;
using MathNet.Numerics.Statistics;

namespace Koala.Lab.Tests.Evaluation;

public sealed class BootstrapTests
{
    private static readonly double[] s_items = [.. Enumerable.Range(0, 40).Select(i => i * i % 17 / 4.0)];

    [Fact]
    public void The_interval_holds_the_mean_and_has_about_the_width_of_theory()
    {
        var mean = s_items.Average();
        var (low, high) = Bootstrap.Interval(s_items, sample => sample.Average());
        Assert.InRange(mean, low, high);
        // The interval of a mean of n values is 1.96 standard errors to each side, computed from the deviation of the
        // values.
        var error = Math.Sqrt(s_items.Average(x => (x - mean) * (x - mean)) / s_items.Length);
        Assert.InRange((high - low) / (2 * 1.96 * error), 0.9, 1.1);
    }

    [Fact]
    public void The_interval_is_the_same_each_time() =>
        Assert.Equal(Bootstrap.Interval(s_items, x => x.Average()), Bootstrap.Interval(s_items, x => x.Average()));

    [Fact]
    public void Equal_items_have_no_width_and_few_items_no_interval()
    {
        double[] equal = [.. Enumerable.Repeat(2.5, Bootstrap.FewestItems)];
        Assert.Equal((2.5, 2.5), Bootstrap.Interval(equal, x => x.Average()));
        Assert.Equal((double.NaN, double.NaN), Bootstrap.Interval(equal[1..], x => x.Average()));
        Assert.Equal((double.NaN, double.NaN), Bootstrap.Interval<double>([], x => x.Average()));
    }

    /// <summary>
    /// How often the interval of a mean or a median holds the true value, over samples of a skewed distribution such as that of speedups.
    /// Ten items are the fewest with which it is nearly nine of ten; three, which reports once had intervals of, are far from it.
    /// </summary>
    [Fact]
    public void The_fewest_items_are_the_fewest_whose_interval_covers_nearly_what_it_claims()
    {
        var (mean, median) = Coverage(Bootstrap.FewestItems);
        Assert.InRange(mean, 0.85, 1);
        Assert.InRange(median, 0.88, 1);
        var (meanOfThree, medianOfThree) = Coverage(3);
        Assert.InRange(meanOfThree, 0, 0.78);
        Assert.InRange(medianOfThree, 0, 0.8);
    }

    private static (double Mean, double Median) Coverage(int items)
    {
        const int Samples = 600;
        const double Deviation = 0.3;
        var random = new Xoshiro256StarStar(1, threadSafe: false);
        var (means, medians) = (0, 0);
        for (var s = 0; s < Samples; s++)
        {
            double[] sample = [.. Enumerable.Range(0, items).Select(_ => LogNormal.Sample(random, 0, Deviation))];
            if (Holds(Bootstrap.IntervalOfAny(sample, x => x.Average(), 200), Math.Exp(Deviation * Deviation / 2))) means++;
            if (Holds(Bootstrap.IntervalOfAny(sample, x => x.Median(), 200), 1)) medians++;
        }
        return ((double)means / Samples, (double)medians / Samples);

        static bool Holds((double Low, double High) interval, double value) => interval.Low <= value && value <= interval.High;
    }

    [Fact]
    public void Items_are_drawn_with_replacement_and_none_is_left_out()
    {
        var (repeated, seen) = (false, new HashSet<int>());
        Bootstrap.Interval<int>([.. Enumerable.Range(0, 12)], sample =>
        {
            Assert.Equal(12, sample.Count);
            repeated |= sample.Distinct().Count() < 12;
            seen.UnionWith(sample);
            return 0;
        });
        Assert.True(repeated);
        Assert.Equal(12, seen.Count);
    }
}
