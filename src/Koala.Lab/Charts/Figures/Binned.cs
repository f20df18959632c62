namespace Koala.Lab.Charts.Figures;

/// <summary>
/// Shortens a long series to the means of bins of equal size, so that a figure of any training or evaluation stays small.
/// </summary>
internal static class Binned
{
    /// <summary>The number of items per bin: 1 up to <paramref name="most"/> items, then 2, 5, 10, 20 …</summary>
    public static int Size(int count, int most)
    {
        var size = 1;
        for (var i = 0; count > (long)size * most; i++) size = i % 3 == 1 ? size / 2 * 5 : size * 2;
        return size;
    }

    /// <summary>
    /// The means of bins of <paramref name="size"/> items; the last bin may be shorter. Values that are not finite are left out, and a
    /// bin without any other value is NaN.
    /// </summary>
    public static IEnumerable<double> Means(IEnumerable<double> values, int size) =>
        values.Chunk(size).Select(chunk => chunk.Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average());
}
