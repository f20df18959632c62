using Koala.Lab.Heads;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>Which places of made-up rows can be learned from.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class TrainingBatchTests
{
    private const int Width = 64, Vocabulary = 512;

    [Fact]
    public void Places_lie_inside_one_answer()
    {
        int[] segments = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2];
        using var batch = Tiny.Batch(Tiny.Row(Tokens(16), segments, "...xxxxxx..xxx.."), Tiny.Row(Tokens(16), new int[16], "............xxxx"));
        // t+1 is the answer's, and so is t+ahead; t itself may be the prompt's last token. The second row's answer ends with the row.
        Assert.Equal([2, 3, 4, 5, 6, 10, 11, 27, 28, 29], batch.Places(2));
        Assert.Equal([2, 3, 4, 5, 10, 27, 28], batch.Places(3));
        Assert.Equal([2, 3, 4, 27], batch.Places(4));
        Assert.Equal([2, 3], batch.Places(5));
        Assert.Equal([2], batch.Places(6));
        Assert.Empty(batch.Places(7));
        Assert.Empty(batch.Places(40));
    }

    [Fact]
    public void Places_do_not_cross_from_one_segment_into_the_next()
    {
        using var batch = Tiny.Batch(Tiny.Row(Tokens(8), [0, 0, 0, 0, 1, 1, 1, 1], "xxxxxxxx"));
        Assert.Equal([0, 1, 4, 5], batch.Places(2));
        Assert.Equal([0, 4], batch.Places(3));
        Assert.Empty(batch.Places(4));
    }

    [Fact]
    public void A_row_without_an_answer_has_no_places()
    {
        using var batch = Tiny.Batch(Tiny.Row(Tokens(8), new int[8], "........"));
        Assert.Empty(batch.Places(2));
    }

    [Fact]
    public void Segments_of_a_row_are_as_if_alone()
    {
        using var scope = NewDisposeScope();
        var (one, two) = (Tokens(9), Tokens(7).Reverse().ToArray());
        using var packed = Tiny.Batch(Tiny.Row([.. one, .. two], [.. new int[9], .. Enumerable.Repeat(1, 7)], "................"));
        using var first = Tiny.Batch(Tiny.Row(one, new int[9], "........."));
        using var second = Tiny.Batch(Tiny.Row(two, new int[7], "......."));
        Tolerance.AssertClose(cat([first.Features, second.Features], 0), packed.Features, Roundings(0));
        var alone = cat([first.LogProbabilities, second.LogProbabilities], 0);
        Tolerance.AssertClose(alone, packed.LogProbabilities, Roundings(Width + Vocabulary));
    }

    [Fact]
    public void The_targets_side_is_a_distribution_and_takes_no_gradients()
    {
        using var scope = NewDisposeScope();
        using var batch = Tiny.Batch(Tiny.Data.Rows[0], Tiny.Data.Rows[1]);
        Assert.Equal([128, 64], batch.Features.shape);
        Assert.Equal([128, 512], batch.Probabilities.shape);
        Tolerance.AssertClose(ones(128, 1), batch.Probabilities.sum(-1, keepdim: true), 2 * Vocabulary);
        Assert.False(batch.Features.requires_grad || batch.Probabilities.requires_grad || batch.LogProbabilities.requires_grad);
    }

    [Fact]
    public void A_head_judges_where_the_target_decides_the_same_token()
    {
        using var scope = NewDisposeScope();
        using var batch = Tiny.Batch(Tiny.Row(Tokens(12), new int[12], "...xxxxxx..."), Tiny.Row(Tokens(12), new int[12], ".......xxxxx"));
        using var head = DraftHead.Create(Tiny.Head with { Heads = 6 }, Shipped.Nano);
        var predictions = head.Predict(batch, Shipped.Nano);
        Assert.Equal([0, 1, 2, 3, 4, 5], predictions.Select(p => p.Depth));
        Assert.Equal([3, 4, 5, 6, 7, 19, 20, 21, 22], predictions[0].Judges.data<long>().ToArray());
        Assert.Equal([4, 5, 6, 7, 20, 21, 22], predictions[1].Judges.data<long>().ToArray());
        Assert.Equal([5, 6, 7, 21, 22], predictions[2].Judges.data<long>().ToArray());
        Assert.Equal([7], predictions[4].Judges.data<long>().ToArray());
        Assert.Equal([0, 512], predictions[5].Logits.shape);
        // Untrained, a head repeats what the target says one place after its own: logits of place t for a token h+2 ahead.
        var own = Shipped.Nano.Logits(batch.Features);
        foreach (var prediction in predictions)
        {
            if (prediction.Judges.shape[0] == 0) continue;
            Tolerance.AssertClose(own.index_select(0, prediction.Judges - 1 - prediction.Depth), prediction.Logits, Width);
        }
    }

    // Of the target over such a row, with its final norm.
    private static long Roundings(long further) =>
        Tolerance.Roundings(Shipped.Nano.Config, Shipped.Nano.Config.Layers, 16, Width + further);

    private static int[] Tokens(int count) => [.. Enumerable.Range(0, count).Select(i => 20 + 13 * i)];
}
