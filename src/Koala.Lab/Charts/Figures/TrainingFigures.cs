using System.Globalization;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Runs;

namespace Koala.Lab.Charts.Figures;

/// <summary>How training goes: metrics.jsonl along its steps.</summary>
internal static class TrainingFigures
{
    private const int MostPoints = 200;

    public static Plot Losses(IReadOnlyList<MetricsLine> lines) => Make("Training losses", new ValueAxis("loss, nats", "F3"), lines,
        [("loss", "minimised", Colours.Muted), .. Depths(lines, "lossAtDepth"), ("adversarialLoss", "adversarial", Colours.Orange), ("discriminatorLoss", "discriminator", Colours.Sky)]);

    public static Plot Accuracies(IReadOnlyList<MetricsLine> lines) => Make("Accuracy in training", new ValueAxis("share right", "F3", High: 1), lines,
        [.. Depths(lines, "validationAccuracyAtDepth"), ("discriminatorAccuracy", "discriminator", Colours.Sky)]);

    private static Plot Make(string title, ValueAxis values, IReadOnlyList<MetricsLine> lines, IReadOnlyList<(string Key, string Name, string Colour)> wanted)
    {
        var size = 1;
        var series = new List<Series>();
        foreach (var (key, name, colour) in wanted)
        {
            // Some values come with some steps only.
            var own = lines.Where(l => l.Values.ContainsKey(key)).ToArray();
            if (own.Length == 0) continue;
            var bins = Binned.Size(own.Length, MostPoints);
            size = Math.Max(size, bins);
            var points = Binned.Means(own.Select(l => l.Values[key]), bins).Zip(Binned.Means(own.Select(l => (double)l.Step), bins), (value, step) => new Point(step, value));
            series.Add(new Series(name, Mark.Line, colour, [.. points]) { Dashed = name is "adversarial" or "discriminator" });
        }
        return new Plot(title, new KeyAxis(size == 1 ? "step" : string.Create(CultureInfo.InvariantCulture, $"step (means of up to {size} steps)")), values, series);
    }

    private static IEnumerable<(string, string, string)> Depths(IReadOnlyList<MetricsLine> lines, string key) =>
        Enumerable.Range(1, 64).TakeWhile(depth => lines.Any(l => l.Values.ContainsKey($"{key}{depth}"))).Select(depth => ($"{key}{depth}", $"depth {depth}", Colours.At(depth - 1)));
}
