using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;

namespace Koala.Lab.Tests.Evaluation;

public sealed class AssumedAcceptanceTests
{
    private static readonly string s_report = TestFiles.At("docs", "results", "xeon", "mt-bench-koala-mini-eagle-k2.json");

    // A baseline round takes 10 ms; rounds with 1 to 3 candidates 12, 13 and 15 ms.
    private static BreakEvenReport Costs()
    {
        (int Nodes, double Ms)[] rounds = [(1, 12), (2, 13), (3, 15)];
        TreeCost[] trees = [.. rounds.Select(round => new TreeCost(new ChainTree(round.Nodes), round.Nodes, 1, round.Ms - 1, 0))];
        return BreakEvenReport.Create(Circumstances.Create(ShippedModels.Nano, "a head"), 3, new StepCost(10, trees));
    }

    [Fact]
    public void The_acceptance_length_is_the_sum_of_the_shares_that_are_reached()
    {
        var assumed = AssumedAcceptance.Read("0.8, 0.5");
        Assert.Equal([1, 1.8, 2.2], Enumerable.Range(0, 3).Select(assumed.LengthOf).Select(length => Math.Round(length, 9)));
        Assert.Equal(double.NaN, assumed.LengthOf(3));
    }

    [Fact]
    public void The_speedup_is_the_acceptance_length_divided_by_the_break_even()
    {
        var report = Costs().Assuming(AssumedAcceptance.Read("0.8,0.5"));
        Assert.Equal([1.8 / 1.2, 2.2 / 1.3], report.ByDraftLength.Take(2).Select(row => row.Speedup!.Value).ToArray(),
            (a, b) => Math.Abs(a - b) < 1e-9);
        Assert.Null(report.ByDraftLength[2].Speedup);
        Assert.Null(report.PredictionError);
        Assert.Contains("best: speedup 1.69 with draft length 2", report.ToString(), StringComparison.Ordinal);
        // Without an assumption the table is as before.
        Assert.DoesNotContain("assumed", Costs().ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_acceptance_of_a_report_comes_with_the_error_of_its_own_prediction()
    {
        var measured = ReportFiles.Load(s_report);
        var assumed = AssumedAcceptance.Read(s_report);
        Assert.Equal(measured.PositionAcceptance, assumed.ByPosition);
        var report = Costs().Assuming(assumed);
        Assert.Equal(measured.Predicted / measured.Speedup.Median - 1, report.PredictionError!.Value, 9);
        Assert.Equal((1 + measured.PositionAcceptance[0]) / 1.2, report.ByDraftLength[0].Speedup!.Value, 9);
        Assert.Contains("there the same prediction was", report.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0.8,1.2"), InlineData("0.8,-0.1"), InlineData("0.8,,0.7"), InlineData("nan"), InlineData("missing.json"), InlineData("")]
    public void What_is_no_list_of_shares_and_no_file_is_refused(string text) =>
        Assert.Contains("0.8,0.7,0.65", Assert.Throws<KoalaException>(() => AssumedAcceptance.Read(text)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void A_tree_accepts_the_products_along_its_paths()
    {
        var assumed = AssumedAcceptance.Read("0.6:0.2:0.1, 0.5:0.3");
        Assert.Equal([0.6, 0.5], assumed.ByPosition);
        double Length(params int[][] paths) => Math.Round(assumed.LengthOf(new StaticTree("t", paths)), 9);
        Assert.Equal(1.8, Length([0], [1]));
        Assert.Equal(1 + 0.6 + 0.2 + (0.6 * 0.5) + (0.6 * 0.3) + (0.2 * 0.5), Length([0], [1], [0, 0], [0, 1], [1, 0]), 9);
        Assert.Equal(assumed.LengthOf(2), assumed.LengthOf(new ChainTree(2)));
        // A rank and a depth that are not known.
        Assert.Equal(double.NaN, Length([0], [0, 0], [0, 2]));
        Assert.Equal(double.NaN, Length([0], [0, 0], [0, 0, 0]));
        // Below a candidate that is never accepted nothing needs to be known.
        Assert.Equal(1.5, AssumedAcceptance.Read("0.5:0").LengthOf(new StaticTree("t", [[0], [1], [1, 0]])));
        Assert.Equal(double.NaN, AssumedAcceptance.Read("0.6,0.5").LengthOf(new StaticTree("t", [[0], [0, 0]])));
    }

    [Fact]
    public void A_dynamic_tree_is_that_of_the_likeliest_candidates()
    {
        var assumed = AssumedAcceptance.Read("0.6:0.3:0.1,0.5:0.4");
        double Length(DynamicTree tree) => assumed.LengthOf(tree);
        // 0.6, 0.3, 0.6 * 0.5 and 0.6 * 0.4 are more likely than 0.3 * 0.5, 0.3 * 0.4 and 0.1.
        Assert.Equal(1 + 0.6 + 0.3 + 0.3 + 0.24, Length(new DynamicTree { Tokens = 5, Levels = 2, TopK = 3 }), 9);
        // One node is expanded per level, so this is a chain.
        Assert.Equal(1 + 0.6 + 0.3, Length(new DynamicTree { Tokens = 3, Levels = 2, TopK = 1 }), 9);
        Assert.Equal(double.NaN, Length(new DynamicTree { Tokens = 20, Levels = 2, TopK = 3 }));
        Assert.Equal(double.NaN, Length(new DynamicTree { Tokens = 5, Levels = 3, TopK = 3 }));
    }

    /// <summary>The reports in docs/results were measured with other heads, targets and devices, with trees of 7 and of 59 nodes.</summary>
    [Fact]
    public void Measured_trees_are_predicted_within_six_percent()
    {
        EvaluationReport[] trees = [.. Directory.GetFiles(TestFiles.At("docs", "results"), "*dynamic*.json", SearchOption.AllDirectories)
            .Select(file => ReportFiles.Load(file))];
        Assert.NotEmpty(trees);
        Assert.All(trees, tree => Assert.InRange(tree.PredictedAcceptanceLength!.Value / tree.AcceptanceLength.Mean, 0.94, 1.06));
    }

    [Fact]
    public void A_tree_predicts_another_one_of_the_same_head()
    {
        var (target, prompts) = (ShippedModels.Mini, Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), 6));
        using var head = DraftHead.Load(ShippedModels.Folder("koala-mini-eagle-k2"), target);
        EvaluationReport Measure(DraftTree tree) => Evaluator.Run(target, head, "eagle", prompts, new EvaluationOptions
        {
            Generation = new GenerationOptions { MaxTokens = 32, Tree = tree }, Limits = DisturbanceLimits.None,
        });
        var measured = Measure(StaticTree.Find("eagle-1"));
        Assert.Equal(StaticTree.Find("eagle-1").Paths, measured.Tree!.Paths);
        var assumed = AssumedAcceptance.Of(measured, "eagle-1");
        foreach (var tree in (DraftTree[])[new StaticTree("small", [[0], [1], [0, 0], [0, 1]]), new ChainTree(3)])
            Assert.InRange(assumed.LengthOf(tree) / Measure(tree).AcceptanceLength.Mean, 0.94, 1.06);
    }

    [Fact]
    public void The_costs_of_a_tree_give_its_speedup_and_the_error_of_its_acceptance_length()
    {
        var tree = new DynamicTree { Tokens = 8, Levels = 4, TopK = 2 };
        var costs = new StepCost(10, [new TreeCost(tree, tree.Nodes, 4, 16, 0)]);
        var circumstances = Circumstances.Create(ShippedModels.Nano, "a head");
        var report = BreakEvenReport.Create(circumstances, tree.Depth, costs) with { IsTree = true };
        var file = TestFiles.At("docs", "results", "heads", "mt-bench-eagle-k2-dynamic.json");
        var measured = ReportFiles.Load(file);
        var predicted = report.Assuming(AssumedAcceptance.Read(file));
        var length = measured.PredictedAcceptanceLength!.Value;
        Assert.Equal(length, predicted.ByDraftLength[0].AcceptanceLength!.Value, 9);
        Assert.Equal(length / 2, predicted.ByDraftLength[0].Speedup!.Value, 9);
        Assert.Equal(length / measured.AcceptanceLength.Mean - 1, predicted.AcceptanceLengthError!.Value, 9);
        Assert.Equal(length / measured.BreakEven / measured.Speedup.Median - 1, predicted.PredictionError!.Value, 9);
        Assert.Contains("; the acceptance length of its tree is 0 % too low", predicted.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("best:", predicted.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Ranks_that_add_up_to_more_than_one_are_refused()
    {
        Assert.Contains("depth 2", Assert.Throws<KoalaException>(() => AssumedAcceptance.Read("0.6:0.4,0.7:0.4")).Message,
            StringComparison.Ordinal);
        Assert.Equal([0.7, 0.2, 0.1], Assert.Single(AssumedAcceptance.Read("0.7:0.2:0.1").ByRank!));
    }

    [Fact]
    public void Trees_are_refused_on_both_sides()
    {
        var tree = ReportFiles.Load(s_report) with { Tree = new TreeReport("eagle-1", 25, 5) };
        Assert.Contains("eagle-1", Assert.Throws<KoalaException>(() => AssumedAcceptance.Of(tree, "r.json")).Message,
            StringComparison.Ordinal);
        var costs = Costs() with { IsTree = true };
        Assert.Throws<KoalaException>(() => costs.Assuming(AssumedAcceptance.Read("0.5")));
    }
}
