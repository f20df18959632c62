using System.Globalization;
using Koala.Lab.Charts.Tables;

namespace Koala.Lab.Charts.Drawing;

/// <summary>A plot as a table of its numbers, with one row per key and one column per series: the text/plain of a figure.</summary>
internal static class PlotTable
{
    private const int MostRows = 12;

    public static TextTable Create(Plot plot)
    {
        var keys = plot.Series.SelectMany(s => s.Points).Select(p => p.Key).Distinct().Order().ToArray();
        // The rows shown are spread evenly from the first key to the last.
        var shown = keys.Length <= MostRows ? keys
            : [.. Enumerable.Range(0, MostRows).Select(i => keys[i * (keys.Length - 1) / (MostRows - 1)])];
        var values = plot.Series.Select(s => s.Points.ToDictionary(p => p.Key)).ToArray();
        var single = plot.Series.Count == 1;
        Column[] columns =
        [
            new Column(plot.Keys.Title, plot.Keys.Names is null),
            .. plot.Series.Select(s => new Column(single ? plot.Values.Title : s.Name)),
        ];
        return new TextTable(columns, [.. shown.Select(Row)])
        {
            Title = single ? plot.Title : $"{plot.Title} ({plot.Values.Title})",
            Note = Note(keys.Length, plot.Rules),
        };

        IReadOnlyList<string> Row(double key) =>
            [Key(key), .. values.Select(points => points.TryGetValue(key, out var point) ? Value(point) : "")];
        string Key(double key) => plot.Keys.Names is { } names ? names[(int)key] : key.ToString("0.###", CultureInfo.InvariantCulture);
        string Number(double value) => double.IsFinite(value) ? value.ToString(plot.Values.Format, CultureInfo.InvariantCulture) : "-";
        string Value(Point point) =>
            point.HasInterval ? $"{Number(point.Value)} [{Number(point.Low)}, {Number(point.High)}]" : Number(point.Value);
    }

    private static string? Note(int keys, IReadOnlyList<Rule> rules)
    {
        string[] notes = [.. rules.Select(r => r.Label), .. keys > MostRows ? [$"{MostRows} of {keys} rows"] : Array.Empty<string>()];
        return notes.Length == 0 ? null : string.Join("; ", notes);
    }
}
