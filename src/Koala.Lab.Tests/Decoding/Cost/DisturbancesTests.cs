using System.Text.Json;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.TreeFitting;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;

namespace Koala.Lab.Tests.Decoding.Cost;

/// <summary>A measurement that other work disturbed is never reported as a result.</summary>
public sealed class DisturbancesTests
{
    private static readonly DisturbanceLimits s_limits = new();
    private static readonly MachineLoad s_quiet = new(1.2, 0.05, 0.02, 0);

    // No measurement is this undisturbed.
    private static readonly DisturbanceLimits s_nothingIsQuiet = DisturbanceLimits.None with { Spread = 0 };

    [Fact]
    public void A_quiet_machine_is_not_called_busy()
    {
        Assert.Empty(Disturbances.OfLoad(s_quiet, s_limits));
        // On systems that count nothing, nothing is known.
        Assert.Empty(Disturbances.OfLoad(new MachineLoad(double.NaN, double.NaN, double.NaN, double.NaN), s_limits));
        Assert.Empty(Disturbances.OfCost(Cost(10, 12, 15) with { Load = s_quiet, Spread = 1.1 }, s_limits));
        // A round of two tokens may take as long as one of one token, or by chance a little less.
        Assert.Empty(Disturbances.OfCost(Cost(10, 9.8), s_limits));
        Assert.Empty(Disturbances.OfPrediction(1.2, 1.35, s_limits));
        Assert.Empty(Disturbances.OfPrediction(double.NaN, double.NaN, s_limits));
    }

    [Fact]
    public void Every_sign_of_other_work_is_seen_and_said()
    {
        var waiting = Assert.Single(Disturbances.OfLoad(new MachineLoad(3.4, 1.2, 0.54, 0), s_limits));
        Assert.Equal("Koala's threads waited for a core in 54 % of their time, other work used 1.2 cores, and the load average was 3.4",
            waiting);
        Assert.Contains("hypervisor", Assert.Single(Disturbances.OfLoad(s_quiet with { StolenShare = 0.3 }, s_limits)),
            StringComparison.Ordinal);
        Assert.Contains("2.0 times", Assert.Single(Disturbances.OfCost(Cost(10, 12) with { Spread = 2 }, s_limits)),
            StringComparison.Ordinal);
        Assert.Contains("less than a round without any (343.00 ms)", Assert.Single(Disturbances.OfCost(Cost(343, 8, 400), s_limits)),
            StringComparison.Ordinal);
        foreach (var (measured, predicted) in (ReadOnlySpan<(double, double)>)[(0.6, 1.2), (2.0, 1.1)])
            Assert.Contains("predicted", Assert.Single(Disturbances.OfPrediction(measured, predicted, s_limits)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_break_even_is_never_below_one_and_a_cost_never_falls_beyond_the_largest_tree()
    {
        Assert.Equal(1, Cost(10, 9.8).BreakEven([1, 1]));
        var falling = Cost(10, 30, 20);
        Assert.Equal(20, falling.RoundMs(2));
        Assert.Equal(20, falling.RoundMs(9));
    }

    [Fact]
    public void A_disturbed_evaluation_keeps_what_was_counted_and_reports_no_speed()
    {
        using var head = PlainDecoding.RecordedHead();
        Prompt[] prompts = [new("1", "writing", ["Why is the sky blue?"], null)];
        var options = new EvaluationOptions
        {
            Generation = new GenerationOptions { MaxTokens = 12 }, ChooseDraftLength = false, Limits = s_nothingIsQuiet,
        };
        var report = Evaluator.Run(ShippedModels.Nano, head, "recorded", prompts, options);
        Assert.True(report.Disturbed);
        Assert.True(report.Lossless);
        Assert.True(report.AcceptanceLength.Mean >= 1);
        double[] timed =
        [
            report.Speedup.Median, report.Predicted, report.BreakEven, report.Baseline.TokensPerSecond, report.Round.DraftMs,
            report.Speculative.TokensPerSecond, report.Speculative.StepMs, report.ByCategory[0].Speedup.Median,
        ];
        Assert.All(timed, value => Assert.Equal(double.NaN, value));
        Assert.Contains("not measured: the machine was busy", report.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("tokens/s", report.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("distinguishable", report.ToString(), StringComparison.Ordinal);

        var text = JsonSerializer.Serialize(report, JsonFormat.Document);
        var json = JsonDocument.Parse(text).RootElement;
        Assert.True(json.GetProperty("disturbed").GetBoolean());
        Assert.Equal(report.Disturbances!.Count, json.GetProperty("disturbances").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, json.GetProperty("speedup").GetProperty("median").ValueKind);
        Assert.Equal(text, JsonSerializer.Serialize(JsonSerializer.Deserialize<EvaluationReport>(text, JsonFormat.Document),
            JsonFormat.Document));
    }

    [Fact]
    public void A_disturbed_break_even_has_no_figures()
    {
        var report = BreakEvenReport.Create(
            Circumstances.Create(ShippedModels.Nano, "a head") with { Disturbances = ["a sign"] }, 4, Cost(343, 8));
        Assert.Equal(double.NaN, report.BreakEven);
        Assert.Empty(report.ByDraftLength);
        Assert.Contains("not measured: a sign", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_disturbed_fit_has_no_tree_unless_the_tree_depends_on_acceptance_alone()
    {
        var tree = FittedTree.Create([[0], [0, 0]], 1.5, 10);
        var report = new TreeFitReport(Circumstances.Create(ShippedModels.Nano, "a head") with { Disturbances = ["a sign"] })
        {
            By = TreeFitBy.Speed, Prompts = 1, Skipped = 0, Positions = 2, Tree = tree, Chain = tree, BaselineTokensPerSecond = 50,
            ByNodes = [tree],
        };
        var bySpeed = report.WithoutSpeeds();
        Assert.Null(bySpeed.Tree);
        Assert.Null(bySpeed.Shape);
        Assert.Empty(bySpeed.Paths);
        var byAcceptance = (report with { By = TreeFitBy.Acceptance }).WithoutSpeeds();
        Assert.Equal((2, double.NaN), (byAcceptance.Shape!.Nodes, byAcceptance.Tree!.TokensPerSecond));
        Assert.All((TreeFitReport[])[bySpeed, byAcceptance], fit =>
        {
            Assert.Contains("speed not measured: the machine was busy: a sign", fit.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain("times", fit.ToString(), StringComparison.Ordinal);
        });
    }

    [Fact]
    public void A_disturbed_choice_of_a_draft_length_claims_no_speedup()
    {
        using var head = PlainDecoding.RandomHead(ShippedModels.Nano, 1);
        var (choice, _) = DraftLengthTuner.Measure(ShippedModels.Nano, head, [[Golden.Prompts("koala-nano")[0].Ids]],
            new GenerationOptions { MaxTokens = 8 }, TimeSpan.FromSeconds(0.1), limits: s_nothingIsQuiet);
        Assert.InRange(choice.Length, 1, 4);
        Assert.Equal(double.NaN, choice.Speedup);
        Assert.NotEmpty(choice.Disturbances);
    }

    [Fact]
    public void A_speed_needs_answers_of_some_length()
    {
        using var head = PlainDecoding.RecordedHead();
        Prompt[] prompts = [new("1", "writing", ["Why is the sky blue?"], null)];
        var options = new EvaluationOptions
        {
            Generation = new GenerationOptions { MaxTokens = 4 }, ChooseDraftLength = false,
            Limits = DisturbanceLimits.None with { ShortestSeconds = 3600 },
        };
        var report = Evaluator.Run(ShippedModels.Nano, head, "recorded", prompts, options);
        Assert.False(report.Disturbed);
        Assert.Equal((double.NaN, double.NaN), (report.Speedup.Median, report.Baseline.TokensPerSecond));
        Assert.Contains("the answers are too short", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_acceptance_of_a_handful_of_rounds_is_shown_as_their_number()
    {
        // Twelve rounds reach depth 1; three of them reach depth 2.
        Round[] rounds = [.. Enumerable.Range(0, 12).Select(i => new Round(2, i < 3 ? 1 : 0, 0, 0, 0))];
        Assert.Equal([12, 3], new DecodingTrace(rounds).PositionRounds);
        var report = JsonSerializer.Deserialize<EvaluationReport>(
            File.ReadAllText(TestFiles.At("docs", "results", "heads", "mt-bench-eagle-k2.json")), JsonFormat.Document)!;
        report = report with { PositionAcceptance = [0.25, 0], PositionRounds = [12, 3] };
        Assert.Contains("position acceptance 0.25  (3 rounds)", report.ToString(), StringComparison.Ordinal);
    }

    private static StepCost Cost(double baselineMs, params double[] roundMs) =>
        new(baselineMs, [.. roundMs.Select((ms, i) => new TreeCost(new ChainTree(i + 1), i + 1, 0, ms, 0))]);
}
