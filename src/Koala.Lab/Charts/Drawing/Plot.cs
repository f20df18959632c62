namespace Koala.Lab.Charts.Drawing;

/// <summary>What a figure shows, however it is drawn: as plotly's JSON, as SVG, as text.</summary>
/// <param name="Title">What is seen.</param>
/// <param name="Keys">The axis of what was varied.</param>
/// <param name="Values">The axis of what was measured.</param>
/// <param name="Series">What is drawn, the first below.</param>
internal sealed record Plot(string Title, KeyAxis Keys, ValueAxis Values, IReadOnlyList<Series> Series)
{
    /// <summary>What an empty figure says.</summary>
    public const string NoData = "no data yet";

    /// <summary>Whether there is nothing to draw.</summary>
    public bool IsEmpty => Series.All(s => s.Points.Count == 0);

    /// <summary>Bars of one key on top of each other, or side by side.</summary>
    public bool Stacked { get; init; }

    /// <summary>Keys from top to bottom and values from left to right: for keys with long names.</summary>
    public bool Horizontal { get; init; }

    /// <summary>Lines across at a value.</summary>
    public IReadOnlyList<Rule> Rules { get; init; } = [];
}

/// <summary>The axis of what was varied.</summary>
/// <param name="Title">With the unit where there is one.</param>
/// <param name="Names">Where keys are not numbers: the names of the keys 0, 1, 2 …</param>
internal sealed record KeyAxis(string Title, IReadOnlyList<string>? Names = null);

/// <summary>The axis of what was measured.</summary>
/// <param name="Title">With its unit.</param>
/// <param name="Format">How a value is written.</param>
/// <param name="FromZero">Whether it begins at 0, as it must where lengths are compared.</param>
/// <param name="High">Where it ends; null: after the largest value.</param>
internal sealed record ValueAxis(string Title, string Format, bool FromZero = true, double? High = null);

/// <summary>How a series is drawn.</summary>
internal enum Mark
{
    Bar,
    Line,
    Point,
    LineAndPoint,
}

/// <summary>Values by key. NaN is no value.</summary>
/// <param name="Name">For the legend.</param>
/// <param name="Mark">How it is drawn.</param>
/// <param name="Colour">One of <see cref="Colours"/>.</param>
/// <param name="Points">In the order of their keys.</param>
internal sealed record Series(string Name, Mark Mark, string Colour, IReadOnlyList<Point> Points)
{
    /// <summary>A second sign beside the colour.</summary>
    public bool Dashed { get; init; }
}

/// <summary>A value with its interval, where it has one.</summary>
internal readonly record struct Point(double Key, double Value, double Low = double.NaN, double High = double.NaN)
{
    public bool HasInterval => double.IsFinite(Low) && double.IsFinite(High);
}

/// <summary>A line across at a value, with a word at its end.</summary>
internal sealed record Rule(double Value, string Label);
