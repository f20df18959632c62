using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Comparison;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Random;

namespace Koala.Lab.Tests.Evaluation;

public sealed class ComparisonTests
{
    private const int Rounds = 40;
    private const int PromptsOfSimulation = 40;
    private static readonly EvaluationReport s_empty = Reports.Create([(1, 1, 0.01)]);

    [Fact]
    public void Two_copies_are_not_distinguishable()
    {
        var report = Simulated(new Xoshiro256StarStar(1), seeds: 1, change: 0).A;
        var comparison = ComparisonReport.Create("one", report, "copy", report);
        Assert.All(comparison.Figures, figure => Assert.Equal(Verdict.NotDistinguishable, figure.Verdict));
        Assert.All(comparison.Figures, figure => Assert.Equal(1, figure.PValue));
        Assert.StartsWith("acceptance: not distinguishable (0.00 [0.00, 0.00] tokens per round); speed: not distinguishable (1.00",
            comparison.Summary, StringComparison.Ordinal);
    }

    [Theory, InlineData(1), InlineData(3), InlineData(5)]
    public void A_large_difference_is_found(int seeds)
    {
        var (a, b) = Simulated(new Xoshiro256StarStar(2), seeds, change: 0.3);
        var comparison = ComparisonReport.Create("A", a, "B", b);
        var (acceptance, speed) = (comparison.Figures[0], comparison.Figures[1]);
        Assert.Equal((Verdict.Higher, Verdict.Higher), (acceptance.Verdict, speed.Verdict));
        Assert.InRange(acceptance.Low, 0.1, 0.3);
        Assert.InRange(acceptance.High, 0.3, 0.5);
        Assert.True(acceptance.PValue < 0.01);
        Assert.Matches(@"^B accepts 0\.\d\d \[0\.\d\d, 0\.\d\d\] tokens per round more; B is 1\.\d\d \[", comparison.Summary);
        // The other way round it is the same with the other sign, and the ratio is its inverse.
        var turned = ComparisonReport.Create("B", b, "A", a);
        Assert.Equal(Verdict.Lower, turned.Figures[0].Verdict);
        Assert.Equal(-acceptance.Change, turned.Figures[0].Change, 1e-9);
        Assert.Equal(1 / speed.High, turned.Figures[1].Low, 1e-9);
        Assert.Matches(@"^A accepts 0\.\d\d \[0\.\d\d, 0\.\d\d\] tokens per round fewer; A is 0\.\d\d \[", turned.Summary);
    }

    /// <summary>
    /// The share of comparisons whose 95% interval holds the true difference, over heads and prompts drawn anew each time: seeds differ,
    /// prompts differ in both, and both differ together.
    /// </summary>
    [Theory, InlineData(1, 0), InlineData(3, 0), InlineData(5, 0), InlineData(3, 0.2), InlineData(5, 0.2)]
    public void Intervals_hold_the_true_difference_as_often_as_they_claim(int seeds, double change)
    {
        const int Draws = 1000;
        var random = new Xoshiro256StarStar(seeds);
        var (held, rejected) = (0, 0);
        for (var draw = 0; draw < Draws; draw++)
        {
            var (a, b) = Simulated(random, seeds, change, spread: seeds == 1 ? 0 : 0.1);
            var figure = ComparedFigure.Create(FigureOfAnswers.All[0], PairedReports.Create("A", a, "B", b));
            if (figure.Low <= change && change <= figure.High) held++;
            if (figure.PValue < 0.05) rejected++;
        }
        Assert.InRange(held / (double)Draws, 0.93, 0.97);
        if (change == 0) Assert.InRange(rejected / (double)Draws, 0.03, 0.07);
    }

    [Fact]
    public void What_cannot_be_paired_is_refused_with_the_difference()
    {
        var (a, b) = Simulated(new Xoshiro256StarStar(3), seeds: 2, change: 0);
        void Refused(string message, IReadOnlyList<EvaluationReport> one, IReadOnlyList<EvaluationReport> other) =>
            Assert.Equal(message, Assert.Throws<KoalaException>(() => ComparisonReport.Create("A", one, "B", other)).Message);
        Refused("B: has 1 reports, and A has 2, but each seed of one is paired with one of the other. "
            + "Fix: give as many reports on both sides.", a, [b[0]]);
        Refused("B: has other prompts than A: only A has prompt 36, prompt 37, prompt 38 and 1 more. "
            + "Fix: evaluate both with the same prompts and turns.",
            [a[0]], [b[0] with { Answers = [.. b[0].Answers.Take(36)] }]);
        Refused("B: has other prompts than A: only A has prompt 0; only B has prompt 0 turn 2. "
            + "Fix: evaluate both with the same prompts and turns.",
            [a[0]], [b[0] with { Answers = [b[0].Answers[0] with { Turn = 2 }, .. b[0].Answers.Skip(1)] }]);
        Refused("A: has no answers beside its report (NAME.answers.jsonl), so nothing can be paired. "
            + "Fix: measure again and save the report with its answers.", [a[0] with { Answers = [] }], [b[0]]);
        Refused("B: has several answers to prompt 0, so nothing can be paired. Fix: give each prompt an id of its own.",
            [a[0]], [b[0] with { Answers = [.. b[0].Answers, b[0].Answers[0]] }]);
        Refused("B: measured another, and A a target. Fix: compare heads of one target.", [a[0]], [b[0] with { Target = "another" }]);
        Refused("B: has temperature 1, and A 0. Fix: evaluate both with the same temperature.", [a[0]], [b[0] with { Temperature = 1 }]);
    }

    [Fact]
    public void A_disturbed_measurement_and_too_few_prompts_have_no_speed()
    {
        var (a, b) = Simulated(new Xoshiro256StarStar(4), seeds: 1, change: 0.3);
        var disturbed = ComparisonReport.Create("A", a, "B", [b[0] with { Disturbances = ["the machine was busy"] }]);
        Assert.Equal(Verdict.Higher, disturbed.Figures[0].Verdict);
        Assert.All(disturbed.Figures.Skip(1), figure => Assert.Equal(Verdict.Unknown, figure.Verdict));
        Assert.EndsWith("; speed: not measured (other work disturbed a measurement).", disturbed.Summary, StringComparison.Ordinal);
        static EvaluationReport[] Few(IReadOnlyList<EvaluationReport> all) => [all[0] with { Answers = [.. all[0].Answers.Take(9)] }];
        var few = ComparisonReport.Create("A", Few(a), "B", Few(b));
        Assert.All(few.Figures, figure => Assert.Equal("9 prompts have it, 10 needed", figure.Missing));
    }

    [Fact]
    public void Sign_flips_count_patterns()
    {
        // Of the 1,024 patterns of ten equal differences, two are as far from 0.
        Assert.InRange(SignFlips.PValue([.. Enumerable.Repeat(1.0, 10)]), 0.0005, 0.004);
        Assert.Equal(1, SignFlips.PValue([.. Enumerable.Repeat(0.0, 10)]));
        Assert.InRange(SignFlips.PValue([.. Enumerable.Range(0, 65).Select(i => i % 2 == 0 ? 1.0 : -1.0)]), 0.8, 1);
    }

    // Acceptance of each prompt varies, more or less with each seed, and B's is higher by the change.
    private static (EvaluationReport[] A, EvaluationReport[] B) Simulated(
        RandomSource random, int seeds, double change, double spread = 0.02)
    {
        double[] Effects(int count, double deviation) => [.. Enumerable.Range(0, count).Select(_ => Normal.Sample(random, 0, deviation))];
        var prompts = Effects(PromptsOfSimulation, 0.3);
        var differences = Effects(PromptsOfSimulation, 0.1);
        EvaluationReport Report(double mean, double[] ofPrompts) => s_empty with { Answers = Reports.Answers(ofPrompts.Select((effect, i) =>
        {
            // A whole number of accepted tokens whose mean is exact: the rest decides by chance.
            var accepted = Rounds * Math.Max(0, mean + prompts[i] + effect + Normal.Sample(random, 0, 0.1));
            var whole = (int)accepted + (random.NextDouble() < accepted % 1 ? 1 : 0);
            return (whole, Rounds, 0.01 / (1 + whole / (double)Rounds));
        })) };
        double[] none = new double[PromptsOfSimulation];
        return (
            [.. Effects(seeds, spread).Select(seed => Report(2 + seed, none))],
            [.. Effects(seeds, spread).Select(seed => Report(2 + change + seed, differences))]);
    }
}
