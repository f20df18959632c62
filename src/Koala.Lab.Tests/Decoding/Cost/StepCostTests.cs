using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using TorchSharp;

namespace Koala.Lab.Tests.Decoding.Cost;

public sealed class StepCostTests
{
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(1);

    public static TheoryData<string> Sources => ["medusa", "eagle", "prompt-lookup", "draft model"];

    [Theory, MemberData(nameof(Sources))]
    public void Rounds_of_every_drafter_are_timed(string name)
    {
        var source = Source(name);
        using var _ = source as IDisposable;
        var cost = StepCost.Measure(ShippedModels.Nano, source, StepCost.Chains(4), batch: 2, budget: s_short);
        Assert.True(cost.BaselineMs > 0);
        // Prompt lookup drafts its full length too, because the text repeats.
        Assert.Equal([1, 2, 3, 4], cost.Trees.Select(shape => shape.Nodes));
        Assert.All(cost.Trees,
            shape => Assert.True(shape is { DraftMs: > 0, VerifyMs: > 0, BookkeepingMs: >= 0 }, shape.ToString()));
    }

    /// <summary>A round that is cut has cost one level more than it has tokens, also one that drafts nothing.</summary>
    [Fact]
    public void Chains_with_a_cut_are_timed_at_each_length_from_none()
    {
        using var head = DraftHead.Create(new EagleOptions { Confidence = true }, ShippedModels.Nano);
        var options = new GenerationOptions { DraftLength = 4, ConfidenceThreshold = 0.9 };
        var trees = StepCost.TreesUpTo(SpeculativeDecoder.TreeFor(head, options));
        var cost = StepCost.Measure(ShippedModels.Nano, head, trees, options, batch: 2, budget: s_short);
        Assert.Equal([0, 1, 2, 3, 4], cost.Trees.Select(tree => tree.Nodes));
        Assert.All(cost.Trees, tree => Assert.True(tree.DraftMs > 0));
        Assert.Equal(cost.Trees[0].RoundMs, cost.RoundMs(0));
        Assert.Equal(cost.Trees[2].RoundMs, cost.RoundMs(2));
        var none = cost with { Trees = [.. cost.Trees.Skip(1)] };
        Assert.Equal(cost.BaselineMs, none.RoundMs(0));
    }

    [Theory, InlineData(0.0), InlineData(0.9)]
    public void Trees_are_timed_as_chains_are(double temperature)
    {
        using var head = DraftHead.Create(new EagleOptions(), ShippedModels.Nano);
        using var model = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        foreach (var source in (IDraftSource[])[head, model])
        {
            var cost = StepCost.Measure(ShippedModels.Nano, source,
                [StaticTree.Find("eagle-1"), new DynamicTree { Tokens = 60 }],
                new GenerationOptions { Temperature = temperature }, batch: 2, budget: s_short);
            Assert.Equal([25, 59], cost.Trees.Select(shape => shape.Nodes));
            Assert.True(cost.BreakEven([25, 59]) > 0);
        }
    }

    [Theory, InlineData(0.0), InlineData(0.9)]
    public void No_tensors_are_leaked(double temperature)
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var options = new GenerationOptions { Temperature = temperature };
        using var source = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        StepCost.Measure(ShippedModels.Nano, source, StepCost.Chains(6), options, budget: s_short);
        var before = live.ThreadTotalLiveCount;
        StepCost.Measure(ShippedModels.Nano, source, StepCost.Chains(6), options, budget: TimeSpan.FromSeconds(0.5));
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    /// <summary>A second model as large as the target drafts, so each drafted token costs another step.</summary>
    [Fact]
    public void More_tokens_of_an_expensive_drafter_cost_more()
    {
        using var source = new DraftModel(ShippedModels.Mini, ShippedModels.Mini);
        var cost = StepCost.Measure(ShippedModels.Mini, source, StepCost.Chains(8), budget: TimeSpan.FromSeconds(2));
        // Eight steps are compared with one; the load of the machine cannot hide that from medians of interleaved
        // rounds.
        Assert.True(cost.Trees[^1].DraftMs > 2 * cost.Trees[0].DraftMs, string.Join(", ", cost.Trees));
    }

    [Fact]
    public void A_cancelled_measurement_stops()
    {
        using var cancel = new CancellationTokenSource();
        cancel.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            StepCost.Measure(ShippedModels.Nano, new PromptLookup(), StepCost.Chains(2), cancel: cancel.Token));
    }

    [Fact]
    public void An_untrained_head_is_measured_in_the_targets_dtype_and_leaves_no_file()
    {
        using var target = Koala.Lab.Targets.Target.Load(ShippedModels.Folder("koala-nano"), "bf16");
        var before = Untrained();
        var report = BreakEvenReport.Measure(target, new EagleOptions { Layers = 2, DraftVocabulary = 100 },
            new GenerationOptions { DraftLength = 3 }, batch: 2, limits: DisturbanceLimits.None);
        Assert.Equal(("koala-nano", "eagle K=2, untrained", "bf16", 2, 3),
            (report.Target, report.Head, report.Dtype, report.Batch, report.DraftLength));
        Assert.Equal([1, 2, 3], report.ByDraftLength.Select(row => row.DraftLength));
        Assert.Equal(report.ByDraftLength[^1].BreakEven, report.BreakEven);
        var roundMs = report.Round.DraftMs + report.Round.VerifyMs + report.Round.BookkeepingMs;
        Assert.Equal(Math.Max(1, roundMs / report.BaselineMs), report.BreakEven, 9);
        // Another test may keep a head there for a moment; what remains for longer was left behind.
        Assert.True(SpinWait.SpinUntil(() => !Untrained().Except(before).Any(), TimeSpan.FromSeconds(30)),
            string.Join(", ", Untrained().Except(before)));
        Assert.Equal("draftLength",
            Assert.Throws<KoalaException>(() =>
                BreakEvenReport.Measure(target, new MedusaOptions(), new GenerationOptions { DraftLength = 0 })).Where);
    }

    private static string[] Untrained() => Directory.GetDirectories(Path.GetTempPath(), "koala-untrained-*");

    private static IDraftSource Source(string name) => name switch
    {
        "medusa" => DraftHead.Create(new MedusaOptions(), ShippedModels.Nano),
        "eagle" => DraftHead.Create(new EagleOptions { Layers = 2, FusedFeatures = true }, ShippedModels.Nano),
        "prompt-lookup" => new PromptLookup(),
        _ => new DraftModel(ShippedModels.Nano, ShippedModels.Nano),
    };
}
