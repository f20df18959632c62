namespace Koala.Lab.Charts.Drawing;

/// <summary>The content of a figure, which can be drawn as plotly's JSON, as SVG or as text.</summary>
/// <param name="Title">The title of the figure.</param>
/// <param name="Keys">The axis of the independent variable.</param>
/// <param name="Values">The axis of the measured values.</param>
/// <param name="Series">The series, from the bottom to the top.</param>
internal sealed record Plot(string Title, KeyAxis Keys, ValueAxis Values, IReadOnlyList<Series> Series)
{
    /// <summary>The text in a figure without values; null if there is something to draw.</summary>
    public string? Missing => Series.All(s => s.Points.Count == 0) ? "no data yet"
        : Series.All(s => s.Points.All(point => double.IsNaN(point.Value))) ? "not measured"
        : null;

    /// <summary>Whether the bars of one key are stacked; otherwise they are grouped.</summary>
    public bool Stacked { get; init; }

    /// <summary>Whether the keys go from top to bottom and the values from left to right, for keys with long names.</summary>
    public bool Horizontal { get; init; }

    /// <summary>The lines across the plot at a value.</summary>
    public IReadOnlyList<Rule> Rules { get; init; } = [];
}

/// <summary>The axis of the independent variable.</summary>
/// <param name="Title">The title, with the unit if there is one.</param>
/// <param name="Names">The names of the keys 0, 1, 2 … if the keys are not numbers; otherwise null.</param>
internal sealed record KeyAxis(string Title, IReadOnlyList<string>? Names = null);

/// <summary>The axis of the measured values.</summary>
/// <param name="Title">The title with the unit.</param>
/// <param name="Format">The format of a value.</param>
/// <param name="FromZero">Whether the axis begins at 0, as it must for comparing lengths.</param>
/// <param name="High">The end of the axis; null means that it ends after the largest value.</param>
internal sealed record ValueAxis(string Title, string Format, bool FromZero = true, double? High = null);

/// <summary>How a series is drawn.</summary>
internal enum Mark
{
    Bar,
    Line,
    Point,
    LineAndPoint,
}

/// <summary>The values of a series by key. NaN means that there is no value.</summary>
/// <param name="Name">The name in the legend.</param>
/// <param name="Mark">How the series is drawn.</param>
/// <param name="Colour">The colour, which is one of <see cref="Colours"/>.</param>
/// <param name="Points">The points in the order of their keys.</param>
internal sealed record Series(string Name, Mark Mark, string Colour, IReadOnlyList<Point> Points)
{
    /// <summary>Whether the line is dashed, which distinguishes it in addition to the colour.</summary>
    public bool Dashed { get; init; }
}

/// <summary>A value with its interval if it has one.</summary>
internal readonly record struct Point(double Key, double Value, double Low = double.NaN, double High = double.NaN)
{
    public bool HasInterval => double.IsFinite(Low) && double.IsFinite(High);
}

/// <summary>A line across the plot at a value, with a label at its end.</summary>
internal sealed record Rule(double Value, string Label);
