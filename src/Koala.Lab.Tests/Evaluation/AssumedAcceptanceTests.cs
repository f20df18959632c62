using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;

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
    public void Trees_are_refused_on_both_sides()
    {
        var tree = ReportFiles.Load(s_report) with { Tree = new TreeReport("eagle-1", 25, 5) };
        Assert.Contains("eagle-1", Assert.Throws<KoalaException>(() => AssumedAcceptance.Of(tree, "r.json")).Message,
            StringComparison.Ordinal);
        var costs = Costs() with { IsTree = true };
        Assert.Throws<KoalaException>(() => costs.Assuming(AssumedAcceptance.Read("0.5")));
    }
}
