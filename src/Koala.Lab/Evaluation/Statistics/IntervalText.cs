using System.Globalization;

namespace Koala.Lab.Evaluation.Statistics;

/// <summary>Intervals in words; where there are too few prompts for one, how many there are and how many are needed.</summary>
internal static class IntervalText
{
    public static string Render(MeanInterval interval, int batch) => Render(interval.Low, interval.High, interval.Count, batch);

    public static string Render(MedianInterval interval, int batch) => Render(interval.Low, interval.High, interval.Count, batch);

    /// <summary>Why there is no interval; null if there is one.</summary>
    public static string? Missing(MedianInterval interval, int batch) =>
        HasBoth(interval.Low, interval.High) ? null : Missing(interval.Count, batch);

    private static string Render(double low, double high, int? count, int batch) => HasBoth(low, high)
        ? string.Create(CultureInfo.InvariantCulture, $"[{low:F2}, {high:F2}]")
        : Missing(count, batch);

    private static string Missing(int? count, int batch) => count is null
        ? "no interval"
        : string.Create(CultureInfo.InvariantCulture,
            $"no interval: {count} {(batch == 1 ? "prompts" : "groups")}, {Bootstrap.FewestItems} needed");

    private static bool HasBoth(double low, double high) => double.IsFinite(low) && double.IsFinite(high);
}
