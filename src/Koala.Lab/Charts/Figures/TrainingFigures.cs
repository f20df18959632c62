using System.Globalization;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Runs;

namespace Koala.Lab.Charts.Figures;

/// <summary>The charts of training: the values of metrics.jsonl over the steps.</summary>
internal static class TrainingFigures
{
    private const int MostPoints = 200;

    public static Plot Losses(IReadOnlyList<MetricsLine> lines) => Create("Training losses", new ValueAxis("loss, nats", "F3"), lines,
    [
        ("loss", "minimised", Colours.Muted),
        .. Depths(lines, "lossAtDepth"),
        ("adversarialLoss", "adversarial", Colours.Orange),
        ("discriminatorLoss", "discriminator", Colours.Sky),
    ]);

    public static Plot Accuracies(IReadOnlyList<MetricsLine> lines) =>
        Create("Accuracy in training", new ValueAxis("accuracy", "F3", High: 1), lines,
            [.. Depths(lines, "validationAccuracyAtDepth"), ("discriminatorAccuracy", "discriminator", Colours.Sky)]);

    private static Plot Create(
        string title, ValueAxis values, IReadOnlyList<MetricsLine> lines, IReadOnlyList<(string Key, string Name, string Colour)> metrics)
    {
        var mostSteps = 1;
        var series = new List<Series>();
        foreach (var (key, name, colour) in metrics)
        {
            // Not every step has every value, and one without a position to learn from has no loss.
            var linesWithKey = lines.Where(l => l.Values.TryGetValue(key, out var value) && double.IsFinite(value)).ToArray();
            if (linesWithKey.Length == 0) continue;
            var size = Binned.Size(linesWithKey.Length, MostPoints);
            mostSteps = Math.Max(mostSteps, size);
            var means = Binned.Means(linesWithKey.Select(l => l.Values[key]), size);
            var steps = Binned.Means(linesWithKey.Select(l => (double)l.Step), size);
            var points = steps.Zip(means, (step, value) => new Point(step, value));
            series.Add(new Series(name, Mark.Line, colour, [.. points]) { Dashed = name is "adversarial" or "discriminator" });
        }
        var keys = mostSteps == 1 ? "step" : string.Create(CultureInfo.InvariantCulture, $"step (means of up to {mostSteps} steps)");
        return new Plot(title, new KeyAxis(keys), values, series);
    }

    private static IEnumerable<(string, string, string)> Depths(IReadOnlyList<MetricsLine> lines, string key)
    {
        var depths = Enumerable.Range(1, 64).TakeWhile(depth => lines.Any(l => l.Values.ContainsKey($"{key}{depth}")));
        return depths.Select(depth => ($"{key}{depth}", $"depth {depth}", Colours.At(depth - 1)));
    }
}
