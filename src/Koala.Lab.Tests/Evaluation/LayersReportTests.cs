using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Comparison;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Checkpoints;
using Koala.Lab.Targets;

namespace Koala.Lab.Tests.Evaluation;

public sealed class LayersReportTests
{
    private static readonly EvaluationOptions s_options = new()
    {
        Generation = new GenerationOptions { MaxTokens = 24, DraftLength = 3 },
        Limits = DisturbanceLimits.None,
    };

    private static IReadOnlyList<Prompt> TwelvePrompts => Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), 12);

    [Theory, InlineData("koala-nano-eagle-k2"), InlineData("koala-nano-medusa-k2")]
    public void The_last_row_is_the_head_and_the_first_is_the_head_without_its_other_layers(string name)
    {
        using var head = DraftHead.Load(ShippedModels.Folder(name), ShippedModels.Nano);
        var report = LayersReport.Measure(ShippedModels.Nano, head, name, TwelvePrompts, s_options);
        Assert.Equal([1, 2], report.Layers.Select(row => row.Layers));
        Assert.Equal(head.ParameterCount, report.Layers[^1].Parameters);
        Assert.Equal(4 * report.Layers[0].Parameters, report.Layers[0].Bytes);

        var whole = Evaluator.Run(ShippedModels.Nano, head, name, TwelvePrompts, s_options);
        Assert.Equal(whole.AcceptanceLength, report.Layers[^1].Report.AcceptanceLength);
        Assert.Equal(whole.PositionAcceptance, report.Layers[^1].Report.PositionAcceptance);

        // What the second layer adds is the difference of the two rows, with an interval that holds it.
        var (first, second) = (report.Layers[0].Report, report.Layers[1].Report);
        Assert.Null(report.Layers[0].Added);
        var added = report.Layers[1].Added!;
        Assert.Equal(second.AcceptanceLength.Mean - first.AcceptanceLength.Mean, added.Change, 9);
        Assert.InRange(added.Change, added.Low, added.High);
        Assert.Equal(Verdict.Higher, added.Verdict);
        Assert.True(first.Lossless);
        Assert.Contains("2 layers", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_draft_length_every_row_drafts_the_same_one()
    {
        using var head = DraftHead.Load(ShippedModels.Folder("koala-nano-eagle-k2"), ShippedModels.Nano);
        var options = s_options with { Generation = new GenerationOptions { MaxTokens = 8 } };
        var report = LayersReport.Measure(ShippedModels.Nano, head, "head", [.. TwelvePrompts.Take(2)], options);
        Assert.All(report.Layers, row => Assert.Equal(LayersReport.DefaultDraftLength, row.Report.DraftLength));
        Assert.Contains("no interval", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_early_exit_of_tied_blocks_repeats_the_block_less_often()
    {
        using var three = DraftHead.Create(new MedusaOptions { Layers = 3, Tied = true }, ShippedModels.Nano);
        using var one = three.FirstLayers(1, ShippedModels.Nano);
        Assert.Equal((1, three.ParameterCount), (one.Options.Layers, one.ParameterCount));
    }

    [Fact]
    public void Layers_that_a_head_does_not_have_and_kinds_that_cannot_stop_early_are_named()
    {
        using var head = DraftHead.Load(ShippedModels.Folder("koala-nano-eagle-k2"), ShippedModels.Nano);
        foreach (var layers in (int[])[0, 3])
            Assert.Contains("the head has 2", Assert.Throws<KoalaException>(() => head.FirstLayers(layers, ShippedModels.Nano)).Message);
        using var other = new OtherHead(ShippedModels.Nano);
        Assert.Contains("cannot stop", Assert.Throws<KoalaException>(() => other.FirstLayers(1, ShippedModels.Nano)).Message);
    }

    private sealed record OtherOptions : HeadOptions
    {
        public override string Kind => "other";
    }

    private sealed class OtherHead(Target target) : DraftHead(new OtherOptions(), target.Identity)
    {
        public override int MaxDraftLength => 1;

        public override StateDict Parameters { get; } = [];

        public override Drafter NewDrafter(Target target, int batch, int capacity) => throw new NotSupportedException();

        public override IReadOnlyList<HeadOutput> Predict(TrainingBatch batch, Target target) => throw new NotSupportedException();

        public override StateDict ToStateDict() => [];
    }
}
