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
        Create("Accuracy in training", new ValueAxis("accuracy", "F3"), lines,
            [.. Depths(lines, "validationAccuracyAtDepth"), ("discriminatorAccuracy", "discriminator", Colours.Sky)]);

    public static Plot Tau(IReadOnlyList<MetricsLine> lines) =>
        Create("Acceptance length in training", new ValueAxis("tokens per round τ", "F2"), lines,
        [
            ("tauSimulated", "training rows, sampling", Colours.Muted),
            ("validationTauTeacherForced", "held out, teacher-forced", Colours.Sky),
            ("validationTauFreeRunning", "held out, free-running", Colours.Orange),
        ]);

    public static Plot DiscriminatorScores(IReadOnlyList<MetricsLine> lines) =>
        Create("What the discriminator sees", new ValueAxis("mean score", "F2"), lines,
            [("discriminatorScoreOfTarget", "the target's", Colours.Sky), ("discriminatorScoreOfHead", "the head's", Colours.Orange)]);

    /// <summary>The minimised loss of several runs, one line per run.</summary>
    public static Plot LossByRun(IReadOnlyList<(string Name, IReadOnlyList<MetricsLine> Lines)> runs)
    {
        var lines = runs.Select((run, i) => Means(run.Name, "loss", Colours.At(i), run.Lines))
            .OfType<(Series Series, int Size)>().ToArray();
        return new Plot("Loss by run", StepAxis(lines.Select(line => line.Size)), new ValueAxis("minimised loss, nats", "F3"),
            [.. lines.Select(line => line.Series)]);
    }

    private static Plot Create(
        string title, ValueAxis values, IReadOnlyList<MetricsLine> lines, IReadOnlyList<(string Key, string Name, string Colour)> metrics)
    {
        var series = metrics.Select(metric => Means(metric.Name, metric.Key, metric.Colour, lines))
            .OfType<(Series Series, int Size)>().ToArray();
        return new Plot(title, StepAxis(series.Select(line => line.Size)), values, [.. series.Select(Dashed)]);

        static Series Dashed((Series Series, int Size) line) =>
            line.Series with { Dashed = line.Series.Name is "adversarial" or "discriminator" };
    }

    private static KeyAxis StepAxis(IEnumerable<int> sizes)
    {
        var most = sizes.DefaultIfEmpty(1).Max();
        return new KeyAxis(most == 1 ? "step" : string.Create(CultureInfo.InvariantCulture, $"step (means of up to {most} steps)"));
    }

    // Null if no step has the value. Not every step has every value, and one without a position to learn from has no loss.
    private static (Series Series, int Size)? Means(string name, string key, string colour, IReadOnlyList<MetricsLine> lines)
    {
        var linesWithKey = lines.Where(l => l.Values.TryGetValue(key, out var value) && double.IsFinite(value)).ToArray();
        if (linesWithKey.Length == 0) return null;
        var size = Binned.Size(linesWithKey.Length, MostPoints);
        var means = Binned.Means(linesWithKey.Select(l => l.Values[key]), size);
        var steps = Binned.Means(linesWithKey.Select(l => (double)l.Step), size);
        // One point makes no line.
        var mark = linesWithKey.Length == 1 ? Mark.LineAndPoint : Mark.Line;
        return (new Series(name, mark, colour, [.. steps.Zip(means, (step, value) => new Point(step, value))]), size);
    }

    private static IEnumerable<(string, string, string)> Depths(IReadOnlyList<MetricsLine> lines, string key)
    {
        var depths = Enumerable.Range(1, 64).TakeWhile(depth => lines.Any(l => l.Values.ContainsKey($"{key}{depth}")));
        return depths.Select(depth => ($"{key}{depth}", $"depth {depth}", Colours.At(depth - 1)));
    }
}
