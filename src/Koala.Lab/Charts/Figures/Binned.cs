namespace Koala.Lab.Charts.Figures;

/// <summary>Long series shortened to means of equal stretches, so that a figure of any training or evaluation stays small.</summary>
internal static class Binned
{
    /// <summary>How many items stand for one: 1 up to <paramref name="most"/> items, then 2, 5, 10, 20 …</summary>
    public static int Size(int count, int most)
    {
        var size = 1;
        for (var i = 0; count > (long)size * most; i++) size = i % 3 == 1 ? size / 2 * 5 : size * 2;
        return size;
    }

    /// <summary>The means of every <paramref name="size"/> items, the last stretch as long as it is. What is not finite is left out; NaN where nothing is left.</summary>
    public static IEnumerable<double> Means(IEnumerable<double> values, int size) =>
        values.Chunk(size).Select(chunk => chunk.Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average());
}
