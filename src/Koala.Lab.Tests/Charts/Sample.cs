using System.Text.Json;
using Koala.Lab.Charts;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Charts;

/// <summary>Sample data for charts.</summary>
internal static class Sample
{
    public const string Hostile = "<script>alert('x')</script> & \"y\"\u0001";

    /// <summary>Three rounds: τ is 7/3, α₁ 2/3, α₂ 1 (of two), α₃ 0 (of two, one of which drafted no third).</summary>
    public static DecodingTrace Trace { get; } =
        new([new Round(3, 2, 1, 4, 0.5), new Round(3, 0, 1.5, 4.25, 0.25), new Round(2, 2, 0.75, 5, 0.125)]);

    public static DecodingTrace LongTrace { get; } =
        new([.. Enumerable.Range(0, 1500).Select(i => new Round(4, i % 5, 1, 4, 0.1))]);

    /// <summary>A round with a chain of four candidates, of which two were accepted.</summary>
    public static Round ChainRound { get; } = Round([-1, 0, 1, 2], [" the", " sky", " is", "\n"], accepted: [0, 1]);

    /// <summary>
    /// A round with EAGLE-1's tree, in which the root's first child, its second child and that one's first child were
    /// accepted.
    /// </summary>
    public static Round TreeRound { get; } = Round(
        [-1, -1, -1, -1, 0, 0, 0, 1, 1, 2, 2, 3, 4, 4, 4, 5, 5, 6, 6, 7, 12, 12, 12, 20, 20],
        [" The", " A", "It", "\n", " sky", " reason", " colour", " very", " short", " is", "'s", "\n", " looks", " is",
            " appears", " for", " that", " of", " we", " good", " blue", " so", " like", ".", " because"],
        accepted: [0, 5, 15]);

    /// <summary>A tree of ten levels with two children at each level and long texts.</summary>
    public static Round DeepRound { get; } = Round(
        [.. Enumerable.Range(0, 20).Select(i => Math.Max(i / 2 * 2 - 2, -1))],
        [.. Enumerable.Range(0, 20).Select(i => $" extraordinary{i}")],
        accepted: [.. Enumerable.Range(0, 10).Select(i => 2 * i)]);

    public static Round Round(int[] parents, string[] texts, int[] accepted, string bonus = " because") =>
        new(parents.Length, accepted.Length, 1, 4, 0.1)
    {
        Bonus = new TracedToken(7, bonus, 0.625f),
        Candidates = [.. parents.Select((parent, i) =>
            new TracedCandidate(100 + i, texts[i], parent, 1f / (i + 2), 1f / (i + 3), accepted.Contains(i)))],
    };

    public static IReadOnlyList<EvaluationReport> Reports { get; } =
        [Report("k1-plain"), Report("k1-adversary"), Report("k2-plain"), Report("k2-adversary")];

    private static EvaluationReport Report(string name)
    {
        var file = TestFiles.At("docs", "results", $"evaluate-koala-mini-medusa-{name}-fp32.json");
        return JsonSerializer.Deserialize<EvaluationReport>(File.ReadAllText(file), JsonFormat.Document)!;
    }

    public static IEnumerable<LayerSweepPoint> LayerSweep =>
        Reports.Select((report, i) =>
            new LayerSweepPoint(i / 2 + 1, report, i % 2 == 0 ? "without the adversary" : "with the adversary"));

    public static IReadOnlyList<StepMetrics> Metrics(int steps) => [.. Enumerable.Range(1, steps).Select(step => new StepMetrics
    {
        Step = step,
        Loss = 20.0 / step,
        LossByDepth = [8.0 / step, 12.0 / step],
        AdversarialLoss = 0.7,
        DiscriminatorLoss = 1.3,
        DiscriminatorAccuracy = 0.5,
        ValidationAccuracy = step % 50 == 0 ? [0.5, 0.25] : null,
    })];

    /// <summary>
    /// All charts; some with hostile names, without data, with one value, and with values that are not numbers.
    /// </summary>
    public static TheoryData<string> Names => [.. All.Keys];

    public static IReadOnlyDictionary<string, Func<Figure>> All { get; } = new Dictionary<string, Func<Figure>>
    {
        ["position acceptance"] = () => Chart.PositionAcceptance(Trace),
        ["position acceptance of reports"] = () => Chart.PositionAcceptance(Reports),
        ["reliability"] = () => Chart.Reliability(Reports[0] with
        {
            Calibration = new Calibration(0.05, [new(0.12, 0.2, 40), new(0.45, 0.4, 300), new(0.81, 0.75, 500), new(0.97, 0.99, 900)]),
        }),
        ["acceptance by context length"] = () => Chart.AcceptanceByContextLength(
            Reports[0] with { ByContextLength = [new(0, 63, 40, 2.5), new(64, 127, 300, 2.25), new(256, 511, 9, 1.5)] },
            Reports[1] with { ByContextLength = [new(64, 127, 310, 2.125), new(128, 255, 200, 2)] }),
        ["no contexts"] = () => Chart.AcceptanceByContextLength(Reports[0]),
        ["no confidences"] = () => Chart.Reliability(Reports[0]),
        ["acceptance length"] = () => Chart.AcceptanceLength(Trace),
        ["acceptance length, long"] = () => Chart.AcceptanceLength(LongTrace),
        ["round times"] = () => Chart.RoundTimes(Trace),
        ["round times of reports"] = () => Chart.RoundTimes(Reports),
        ["draft chain"] = () => Chart.DraftTree(ChainRound),
        ["draft tree"] = () => Chart.DraftTree(TreeRound),
        ["deep draft tree"] = () => Chart.DraftTree(DeepRound),
        ["nothing drafted"] = () => Chart.DraftTree(Round([], [], [])),
        ["hostile tree"] = () => Chart.DraftTree(Round([-1, 0], [Hostile, "<b>"], accepted: [0], bonus: Hostile)),
        ["speedup"] = () => Chart.Speedup(Reports),
        ["throughput by layers"] = () => Chart.ThroughputByLayers(LayerSweep),
        ["losses"] = () => Chart.TrainingLosses(Metrics(1000)),
        ["accuracy"] = () => Chart.TrainingAccuracy(Metrics(1000)),
        ["hostile"] = () => Chart.RoundTimes(Reports.Select(r => r with { Head = Hostile })),
        ["hostile series"] = () => Chart.PositionAcceptance(Reports.Select(r => r with { Head = Hostile })),
        ["no rounds"] = () => Chart.AcceptanceLength(new DecodingTrace([])),
        ["no alphas"] = () => Chart.PositionAcceptance(new DecodingTrace([])),
        ["no steps"] = () => Chart.TrainingLosses([]),
        ["no reports"] = () => Chart.Speedup(),
        ["one step"] = () => Chart.TrainingLosses(Metrics(1)),
        ["one round"] = () => Chart.RoundTimes(new DecodingTrace([Trace.Rounds[0]])),
        ["no interval"] = () => Chart.Speedup(Reports[0] with { Speedup = new MedianInterval(1.5, double.NaN, double.NaN) }),
        ["not a number"] = () =>
            Chart.TrainingLosses([.. Metrics(3),
                new StepMetrics { Step = 4, Loss = double.NaN, LossByDepth = [double.PositiveInfinity, 1] }]),
    };
}
