using System.Globalization;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Decoding.Trace;

namespace Koala.Lab.Charts.Figures;

/// <summary>The rounds of a trace along an axis: single rounds, or the means of several where there are many.</summary>
internal static class Rounds
{
    private const int MostBars = 100;

    /// <summary>The number of rounds per bar, and the title of the axis, which states it.</summary>
    public static (int Size, string Title) Bins(DecodingTrace trace)
    {
        var size = Binned.Size(trace.Rounds.Count, MostBars);
        return (size, size == 1 ? "round" : string.Create(CultureInfo.InvariantCulture, $"round (a bar is the mean of {size})"));
    }

    /// <summary>The means of the bars. The key of a bar is the number of its first round, counted from 1.</summary>
    public static IReadOnlyList<Point> Means(DecodingTrace trace, int size, Func<Round, double> value) =>
        [.. Binned.Means(trace.Rounds.Select(value), size).Select((mean, i) => new Point(i * size + 1, mean))];
}
