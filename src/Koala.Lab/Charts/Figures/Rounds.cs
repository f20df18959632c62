using System.Globalization;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Decoding.Trace;

namespace Koala.Lab.Charts.Figures;

/// <summary>The rounds of a trace along an axis: each one, or means of as many as fit.</summary>
internal static class Rounds
{
    private const int MostBars = 100;

    /// <summary>How many rounds a bar stands for, and the axis's title, which says so.</summary>
    public static (int Size, string Title) Bins(DecodingTrace trace)
    {
        var size = Binned.Size(trace.Rounds.Count, MostBars);
        return (size, size == 1 ? "round" : string.Create(CultureInfo.InvariantCulture, $"round (a bar is the mean of {size})"));
    }

    /// <summary>A bar's key is the first of its rounds, counted from 1.</summary>
    public static IReadOnlyList<Point> Means(DecodingTrace trace, int size, Func<Round, double> value) =>
        [.. Binned.Means(trace.Rounds.Select(value), size).Select((mean, i) => new Point(i * size + 1, mean))];
}
