using System.Globalization;
using System.Text.Json.Nodes;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Sweeps;

namespace Koala.Lab.Charts.Figures;

/// <summary>The charts of a sweep: a figure with its intervals over one option, and a line for each setting of the others.</summary>
internal static class SweepFigures
{
    private const string Layers = "layers";

    public static Plot AcceptanceLength(SweepSummary summary, string? over) => Create(
        summary, "Acceptance length", new ValueAxis("acceptance length τ, 95% interval", "F2", FromZero: false),
        row => row.AcceptanceLength, over);

    public static Plot Speedup(SweepSummary summary, string? over) => Create(
        summary, "Speedup", new ValueAxis("speedup, 95% interval", "F2", FromZero: false), row => row.Speedup, over) with
    {
        Rules = [new Rule(1, "1 = no gain")],
    };

    private static Plot Create(SweepSummary summary, string title, ValueAxis values, Func<SweepRow, SweepFigure> of, string? over)
    {
        var option = over ?? (summary.Options.Contains(Layers) ? Layers : summary.Options.FirstOrDefault(Layers));
        if (over is not null && !summary.Options.Contains(over))
        {
            throw new KoalaException(nameof(over), $"is '{over}', which does not vary in this sweep",
                summary.Options.Count == 0 ? "leave it out" : $"use one of {string.Join(", ", summary.Options)}");
        }
        // Numbers have their places on the axis; other values stand in the order of the plan.
        string[] names = [.. summary.Rows.Select(row => Text(row, option)).Distinct()];
        var numbers = names.All(name => double.TryParse(name, NumberStyles.Float, CultureInfo.InvariantCulture, out _));
        double Key(SweepRow row) => numbers
            ? double.Parse(Text(row, option), CultureInfo.InvariantCulture)
            : Array.IndexOf(names, Text(row, option));
        var series = summary.Rows
            .GroupBy(row => Others(summary, row, option), StringComparer.Ordinal)
            .Select((rows, i) => new Series(rows.Key, numbers ? Mark.LineAndPoint : Mark.Point, Colours.At(i),
                [.. rows.OrderBy(Key).Select(row => PointOf(Key(row), of(row)))]));
        var axis = option == Layers ? "K (layers of the head)" : option;
        return new Plot(title, new KeyAxis(axis, numbers ? null : names), values, [.. series]);
    }

    private static Point PointOf(double key, SweepFigure figure) => new(key, figure.Mean, figure.Low, figure.High);

    private static string Others(SweepSummary summary, SweepRow row, string option)
    {
        var others = summary.Options.Where(name => name != option).Select(name => $"{name} {Text(row, name)}");
        return string.Join(", ", others) is { Length: > 0 } text ? text : "with the head";
    }

    private static string Text(SweepRow row, string option) =>
        row.Options.TryGetValue(option, out JsonNode? value) ? SweepSetting.Text(value)
            : option == Layers ? row.Layers.ToString(CultureInfo.InvariantCulture) : "default";
}
