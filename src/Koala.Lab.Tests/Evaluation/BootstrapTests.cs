using Koala.Lab.Evaluation.Statistics;

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
    public void Equal_items_have_no_width_and_a_single_item_no_interval()
    {
        Assert.Equal((2.5, 2.5), Bootstrap.Interval<double>([2.5, 2.5, 2.5], x => x.Average()));
        Assert.Equal((double.NaN, double.NaN), Bootstrap.Interval<double>([7], x => x.Average()));
    }

    [Fact]
    public void Items_are_drawn_with_replacement_and_none_is_left_out()
    {
        var (repeated, seen) = (false, new HashSet<int>());
        Bootstrap.Interval<int>([0, 1, 2, 3, 4], sample =>
        {
            Assert.Equal(5, sample.Count);
            repeated |= sample.Distinct().Count() < 5;
            seen.UnionWith(sample);
            return 0;
        });
        Assert.True(repeated);
        Assert.Equal(5, seen.Count);
    }
}
