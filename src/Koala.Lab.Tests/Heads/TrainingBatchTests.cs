using Koala.Lab.Heads;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>The positions of synthetic rows that can be learned.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class TrainingBatchTests
{
    private const int Width = 64, Vocabulary = 512;

    [Fact]
    public void Positions_lie_inside_one_answer()
    {
        int[] segments = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2];
        using var batch = TinyModels.Batch(TinyModels.Row(Tokens(16), segments, "...xxxxxx..xxx.."),
            TinyModels.Row(Tokens(16), new int[16], "............xxxx"));
        // The tokens at t+1 and t+ahead are the answer's; the token at t may be the prompt's last. The second row's
        // answer ends with the row.
        Assert.Equal([2, 3, 4, 5, 6, 10, 11, 27, 28, 29], batch.LabelPositions(2));
        Assert.Equal([2, 3, 4, 5, 10, 27, 28], batch.LabelPositions(3));
        Assert.Equal([2, 3, 4, 27], batch.LabelPositions(4));
        Assert.Equal([2, 3], batch.LabelPositions(5));
        Assert.Equal([2], batch.LabelPositions(6));
        Assert.Empty(batch.LabelPositions(7));
        Assert.Empty(batch.LabelPositions(40));
    }

    [Fact]
    public void Positions_do_not_cross_from_one_segment_into_the_next()
    {
        using var batch = TinyModels.Batch(TinyModels.Row(Tokens(8), [0, 0, 0, 0, 1, 1, 1, 1], "xxxxxxxx"));
        Assert.Equal([0, 1, 4, 5], batch.LabelPositions(2));
        Assert.Equal([0, 4], batch.LabelPositions(3));
        Assert.Empty(batch.LabelPositions(4));
    }

    [Fact]
    public void A_row_without_an_answer_has_no_positions()
    {
        using var batch = TinyModels.Batch(TinyModels.Row(Tokens(8), new int[8], "........"));
        Assert.Empty(batch.LabelPositions(2));
    }

    [Fact]
    public void Segments_of_a_row_are_independent()
    {
        using var scope = NewDisposeScope();
        var (one, two) = (Tokens(9), Tokens(7).Reverse().ToArray());
        using var packed = TinyModels.Batch(TinyModels.Row([.. one, .. two],
            [.. new int[9], .. Enumerable.Repeat(1, 7)], "................"));
        using var first = TinyModels.Batch(TinyModels.Row(one, new int[9], "........."));
        using var second = TinyModels.Batch(TinyModels.Row(two, new int[7], "......."));
        Tolerance.AssertClose(cat([first.Features, second.Features], 0), packed.Features, Roundings(0));
        var baseline = cat([first.LogProbabilities, second.LogProbabilities], 0);
        Tolerance.AssertClose(baseline, packed.LogProbabilities, Roundings(Width + Vocabulary));
    }

    [Fact]
    public void The_targets_side_is_a_distribution_and_takes_no_gradients()
    {
        using var scope = NewDisposeScope();
        using var batch = TinyModels.Batch(TinyModels.Data.Rows[0], TinyModels.Data.Rows[1]);
        Assert.Equal([128, 64], batch.Features.shape);
        Assert.Equal([128, 512], batch.Probabilities.shape);
        var sums = batch.Probabilities.sum(-1).data<float>().ToArray();
        Assert.All(sums, sum => Assert.Equal(1, sum, 1e-5f));
        Assert.False(batch.Features.requires_grad || batch.Probabilities.requires_grad || batch.LogProbabilities.requires_grad);
    }

    [Fact]
    public void A_head_is_compared_where_the_target_predicts_the_same_token()
    {
        using var scope = NewDisposeScope();
        using var batch = TinyModels.Batch(TinyModels.Row(Tokens(12), new int[12], "...xxxxxx..."),
            TinyModels.Row(Tokens(12), new int[12], ".......xxxxx"));
        using var head = DraftHead.Create(TinyModels.Head with { Heads = 6 }, ShippedModels.Nano);
        var headOutputs = head.Predict(batch, ShippedModels.Nano);
        Assert.Equal([0, 1, 2, 3, 4, 5], headOutputs.Select(p => p.Depth));
        Assert.Equal([3, 4, 5, 6, 7, 19, 20, 21, 22], headOutputs[0].TargetPositions.data<long>().ToArray());
        Assert.Equal([4, 5, 6, 7, 20, 21, 22], headOutputs[1].TargetPositions.data<long>().ToArray());
        Assert.Equal([5, 6, 7, 21, 22], headOutputs[2].TargetPositions.data<long>().ToArray());
        Assert.Equal([7], headOutputs[4].TargetPositions.data<long>().ToArray());
        Assert.Equal([0, 512], headOutputs[5].Logits.shape);
        // An untrained head repeats what the target predicts one position after its own: the logits of position t for a
        // token h+2 ahead.
        var targetLogits = ShippedModels.Nano.Logits(batch.Features);
        foreach (var output in headOutputs)
        {
            if (output.TargetPositions.shape[0] == 0) continue;
            Tolerance.AssertClose(targetLogits.index_select(0, output.TargetPositions - 1 - output.Depth),
                output.Logits, Width);
        }
    }

    // The roundings of the target over such a row, with its final norm.
    private static long Roundings(long further) =>
        Tolerance.Roundings(ShippedModels.Nano.Config, ShippedModels.Nano.Config.Layers, 16, Width + further);

    private static int[] Tokens(int count) => [.. Enumerable.Range(0, count).Select(i => 20 + 13 * i)];
}
