using Koala.Lab.Heads;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Training;

/// <summary>Losses against sums written out in doubles.</summary>
public sealed class SupervisedLossTests
{
    private const int Vocabulary = 512;
    private static readonly int[] s_tokens = [5, 17, 200, 31, 44, 311, 7, 90];

    [Theory]
    [InlineData(Labels.Hard)]
    [InlineData(Labels.Soft)]
    public void Cross_entropy_is_the_sum_by_hand(Labels labels)
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        long[] judges = [2, 4, 6];
        var prediction = Prediction(0, judges, 1);
        var p = Tiny.Doubles(batch.Probabilities);
        var q = LogSoftmax(prediction.Logits);

        var expected = judges.Select((place, i) => labels == Labels.Hard
            ? -q[i][s_tokens[place + 1]]
            : -Enumerable.Range(0, Vocabulary).Sum(v => p[place * Vocabulary + v] * q[i][v])).Average();
        Assert.Equal(expected, new SupervisedLoss(labels, 1).CrossEntropy(prediction, batch).item<float>(), 1e-5 * expected);
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.8)]
    [InlineData(0.0)]
    public void Depths_are_weighed_by_powers_of_the_decay(double decay)
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        Prediction[] predictions = [Prediction(0, [2, 3, 4, 5, 6], 1), Prediction(1, [3, 4], 2), Prediction(2, [5], 3)];
        var loss = new SupervisedLoss(Labels.Hard, decay);
        var each = predictions.Select(p => (double)loss.CrossEntropy(p, batch).item<float>()).ToArray();
        var (total, byDepth) = loss.Of(predictions, batch);
        Assert.Equal(each[0] + decay * each[1] + decay * decay * each[2], total.item<float>(), 1e-5 * each.Sum());
        Assert.Equal(each, Tiny.Doubles(byDepth));
        Assert.False(byDepth.requires_grad);
        Assert.True(total.requires_grad);
    }

    [Fact]
    public void The_soft_loss_is_least_where_the_head_says_what_the_target_says()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var judges = tensor(new long[] { 2, 5 });
        var loss = new SupervisedLoss(Labels.Soft, 1);
        double Of(Tensor logits) => loss.CrossEntropy(new Prediction(0, logits, judges), batch).item<float>();
        var own = batch.LogProbabilities.index_select(0, judges);
        var entropy = -(own.exp() * own).sum(-1).mean().item<float>();
        Assert.Equal(entropy, Of(own), 1e-4);
        Assert.Equal(Of(own), Of(own + 7), 1e-4);
        Assert.True(Of(own) < Of(own * 1.1));
        Assert.True(Of(own) < Of(own * 0.9));
    }

    [Theory]
    [InlineData(Labels.Hard)]
    [InlineData(Labels.Soft)]
    public void What_lies_outside_every_answer_and_after_it_does_not_count(Labels labels)
    {
        // Segment 0: prompt 0-2, answer 3-8, a tail that is not learned 9-10. Segment 1: no answer. Padding.
        int[] tokens = [9, 8, 7, 30, 31, 32, 33, 34, 35, 60, 61, 70, 71, 72, 0, 0];
        int[] segments = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2];
        const string Mask = "...xxxxxx.......";
        double Loss(params (int At, int Token)[] changes)
        {
            using var scope = NewDisposeScope();
            var changed = tokens.ToArray();
            foreach (var (at, token) in changes) changed[at] = token;
            using var batch = Tiny.Batch(Tiny.Row(changed, segments, Mask));
            using var head = DraftHead.Create(Tiny.Head, Shipped.Nano);
            return new SupervisedLoss(labels, 0.8).Of(head.Predict(batch, Shipped.Nano), batch).Total.item<float>();
        }

        var loss = Loss();
        Assert.Equal(loss, Loss((9, 400), (10, 401), (11, 402), (12, 403), (13, 404), (14, 405), (15, 406)));
        // The answer's last token is a hard label and nothing else: no state that is used has seen it.
        Assert.Equal(labels == Labels.Soft, loss == Loss((8, 400)));
        // The prompt is seen, and so is the answer.
        Assert.NotEqual(loss, Loss((1, 400)));
        Assert.NotEqual(loss, Loss((5, 400)));
    }

    private static TrainingBatch Batch() => Tiny.Batch(Tiny.Row(s_tokens, new int[8], "xxxxxxxx"));

    private static Prediction Prediction(int depth, long[] judges, ulong seed)
    {
        using var generator = new Generator(seed, CPU);
        return new Prediction(depth, (randn(judges.Length, Vocabulary, generator: generator) * 3).requires_grad_(true), tensor(judges));
    }

    private static double[][] LogSoftmax(Tensor logits) => [.. Tiny.Doubles(logits).Chunk(Vocabulary).Select(row =>
    {
        var sum = row.Sum(Math.Exp);
        return row.Select(x => x - Math.Log(sum)).ToArray();
    })];
}
