using MathNet.Numerics.Random;
using MathNet.Numerics.Statistics;

namespace Koala.Lab.Evaluation.Statistics;

/// <summary>
/// Percentile bootstrap over prompts: 2,000 resamples with a fixed seed, so that a report is the same for the same measurements.
/// </summary>
internal static class Bootstrap
{
    private const int Resamples = 2000;

    /// <summary>
    /// The 95% interval of a statistic of <paramref name="items"/>. It is NaN for fewer than two items, which do not show how they vary.
    /// </summary>
    public static (double Low, double High) Interval<T>(IReadOnlyList<T> items, Func<IReadOnlyList<T>, double> statistic)
    {
        if (items.Count < 2) return (double.NaN, double.NaN);
        var random = new Xoshiro256StarStar(0, threadSafe: false);
        var sample = new T[items.Count];
        var values = new double[Resamples];
        for (var r = 0; r < Resamples; r++)
        {
            for (var i = 0; i < sample.Length; i++) sample[i] = items[random.Next(items.Count)];
            values[r] = statistic(sample);
        }
        return (values.Quantile(0.025), values.Quantile(0.975));
    }
}
