using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Training;

/// <summary>Losses, compared with sums written out in doubles.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class LossTests
{
    private const int Vocabulary = 512;
    private static readonly int[] s_tokens = [5, 17, 200, 31, 44, 311, 7, 90];
    private static readonly long[] s_positions = [2, 4, 5, 6];

    public static TheoryData<string> OfDistributions =>
        new("soft-cross-entropy", "cross-entropy", "kl", "jensen-shannon", "total-variation", "acceptance", "expected-tau");

    [Theory, MemberData(nameof(OfDistributions))]
    public void A_loss_of_distributions_is_the_sum_by_hand(string name)
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var output = Output(0, s_positions, 1);
        using var terms = new DistillationTerms(output, batch);
        var expected = s_positions.Select((position, i) =>
            ByHand(name, Row(batch, position, null), Softmax(output.Logits, i), s_tokens[position + 1]))
            .Average();
        Tolerance.AssertClose(expected, LossRegistry.Find(name).Compute(terms).item<float>(), 2 * Vocabulary,
            Math.Max(1, expected));
    }

    /// <summary>
    /// p over the head's vocabulary sums to one, and positions where the target's best token is outside it do not
    /// count.
    /// </summary>
    [Theory, MemberData(nameof(OfDistributions))]
    public void With_a_draft_vocabulary_it_is_the_sum_by_hand_over_that(string name)
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var best = batch.BestTokens.data<long>().ToArray();
        // The best tokens of three of the positions, two of the four labels, and other tokens.
        long[] tokens = [best[2], best[4], best[6], s_tokens[3], s_tokens[5], 100, 101, 102];
        long[] vocabulary = [.. tokens.Where(token => token != best[5]).Distinct().Order()];
        var positions = s_positions.Where(position => vocabulary.Contains(best[position])).ToArray();
        Assert.InRange(positions.Length, 1, s_positions.Length - 1);
        using var generator = new Generator(1, CPU);
        var output = new HeadOutput(0, randn(s_positions.Length, vocabulary.Length, generator: generator).requires_grad_(true),
            tensor(s_positions)) { Vocabulary = tensor(vocabulary) };
        using var terms = new DistillationTerms(output, batch);

        var counted =
            positions.Where(position => name != "cross-entropy" || vocabulary.Contains(s_tokens[position + 1]))
            .ToArray();
        var expected = counted.Select(position =>
            ByHand(name, Row(batch, position, vocabulary), Softmax(output.Logits, Array.IndexOf(s_positions, position)),
                Array.IndexOf(vocabulary, s_tokens[position + 1])))
            .Average();
        var loss = LossRegistry.Find(name).Compute(terms);
        Tolerance.AssertClose(expected, loss.item<float>(), 2 * vocabulary.Length, Math.Max(1, expected));
        loss.backward();
        Assert.Equal(positions.Length, terms.Logits.shape[0]);
        var outside = Array.FindIndex(s_positions, position => !vocabulary.Contains(best[position]));
        Assert.Equal(0, output.Logits.grad![outside].abs().sum().item<float>());
    }

    [Fact]
    public void Smooth_l1_equals_the_mean_over_width_and_positions_by_hand()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        using var generator = new Generator(2, CPU);
        var features = randn(s_positions.Length, 64, generator: generator) * 2;
        using var terms = new DistillationTerms(Output(0, s_positions, 1) with { Features = features }, batch);
        var (headFeatures, targetFeatures) =
            (TinyModels.Doubles(features), TinyModels.Doubles(batch.Features.index_select(0, tensor(s_positions))));
        var expected = headFeatures.Zip(targetFeatures, (a, b) => Math.Abs(a - b)).Average(d => d < 1 ? d * d / 2 : d - 0.5);
        Tolerance.AssertClose(expected, LossRegistry.Find("smooth-l1").Compute(terms).item<float>(), headFeatures.Length);
    }

    [Fact]
    public void A_head_without_features_has_no_loss_of_them()
    {
        using var batch = Batch();
        using var scope = NewDisposeScope();
        using var terms = new DistillationTerms(Output(0, s_positions, 1), batch);
        Assert.Equal("losses", Assert.Throws<KoalaException>(() => LossRegistry.Find("smooth-l1").Compute(terms)).Where);
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.8)]
    [InlineData(0.0)]
    public void Depths_are_weighed_by_powers_of_the_decay_and_losses_by_their_weights(double decay)
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        HeadOutput[] outputs = [Output(0, [2, 3, 4, 5, 6], 1), Output(1, [3, 4], 2), Output(2, [5], 3)];
        DistillationTerms[] termsByDepth = [.. outputs.Select(output => new DistillationTerms(output, batch))];
        double[] Each(string name) => [.. termsByDepth.Select(j => (double)LossRegistry.Find(name).Compute(j).item<float>())];
        var (kl, tv) = (Each("kl"), Each("total-variation"));
        var loss = new SupervisedLoss([new("kl", 0.5, decay), new("total-variation", 2)]);
        var (total, each) = loss.Compute(termsByDepth);
        var expected = 0.5 * (kl[0] + decay * kl[1] + decay * decay * kl[2]) + 2 * tv.Sum();
        Tolerance.AssertClose(expected, total.item<float>(), kl.Length + tv.Length);
        Assert.Equal([.. kl, .. tv], TinyModels.Doubles(each));
        Assert.True(total.requires_grad && !each.requires_grad);
        var metrics = loss.Report(new StepMetrics(), each);
        Assert.Equal(kl, metrics.LossByDepth);
        Assert.Equal(["kl", "total-variation"], metrics.LossByName.Select(l => l.Key));
        Assert.Equal(kl[0] + decay * kl[1] + decay * decay * kl[2], metrics.LossByName[0].Value, 1e-9);
        Assert.Contains(metrics.Values, v => v.Key == "totalVariationLoss");
    }

    [Theory, MemberData(nameof(OfDistributions))]
    public void A_loss_is_smallest_where_the_head_equals_the_target(string name)
    {
        if (name == "cross-entropy") return;   // the text's token need not be the target's
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var positions = tensor(s_positions);
        double Of(Tensor logits)
        {
            using var terms = new DistillationTerms(new HeadOutput(0, logits, positions), batch);
            return LossRegistry.Find(name).Compute(terms).item<float>();
        }
        var targetLogs = batch.LogProbabilities.index_select(0, positions);
        Tolerance.AssertClose(Of(targetLogs), Of(targetLogs + 7), 2 * Vocabulary, magnitude: Math.Max(7, Of(targetLogs)));
        Assert.True(Of(targetLogs) < Of(targetLogs * 1.1));
        Assert.True(Of(targetLogs) < Of(targetLogs * 0.9));
    }

    [Theory]
    [InlineData("cross-entropy")]
    [InlineData("soft-cross-entropy")]
    public void What_lies_outside_every_answer_and_after_it_does_not_count(string name)
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
            using var batch = TinyModels.Batch(TinyModels.Row(changed, segments, Mask));
            using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
            return new SupervisedLoss([new(name, 1, 0.8)])
                .Compute([.. head.Predict(batch, ShippedModels.Nano)
                    .Select(p => new DistillationTerms(p, batch))]).Total.item<float>();
        }

        var loss = Loss();
        Assert.Equal(loss, Loss((9, 400), (10, 401), (11, 402), (12, 403), (13, 404), (14, 405), (15, 406)));
        // The answer's last token is only a hard label: no state that the losses use has seen it.
        Assert.Equal(name == "soft-cross-entropy", loss == Loss((8, 400)));
        // The states see the prompt and the answer.
        Assert.NotEqual(loss, Loss((1, 400)));
        Assert.NotEqual(loss, Loss((5, 400)));
    }

    private static double ByHand(string name, double[] p, double[] q, int label)
    {
        double Sum(Func<double, double, double> term) => p.Zip(q, term).Sum();
        return name switch
        {
            "soft-cross-entropy" => Sum((x, y) => -x * Math.Log(y)),
            "cross-entropy" => -Math.Log(q[label]),
            "kl" => Sum((x, y) => x == 0 ? 0 : x * Math.Log(x / y)),
            "jensen-shannon" =>
                Sum((x, y) => ((x == 0 ? 0 : x * Math.Log(2 * x / (x + y))) + y * Math.Log(2 * y / (x + y))) / 2),
            "total-variation" or "expected-tau" => 1 - Sum(Math.Min),
            _ => -Math.Log(Sum(Math.Min)),
        };
    }

    private static TrainingBatch Batch() => TinyModels.Batch(TinyModels.Row(s_tokens, new int[8], "xxxxxxxx"));

    private static double[] Row(TrainingBatch batch, long position, long[]? vocabulary)
    {
        var row = TinyModels.Doubles(batch.Probabilities[position]);
        if (vocabulary is null) return row;
        var sum = vocabulary.Sum(token => row[token]);
        return [.. vocabulary.Select(token => row[token] / sum)];
    }

    private static double[] Softmax(Tensor logits, int row)
    {
        var x = TinyModels.Doubles(logits[row]);
        var sum = x.Sum(Math.Exp);
        return [.. x.Select(v => Math.Exp(v) / sum)];
    }

    private static HeadOutput Output(int depth, long[] positions, ulong seed)
    {
        using var generator = new Generator(seed, CPU);
        return new HeadOutput(depth,
            (randn(positions.Length, Vocabulary, generator: generator) * 3).requires_grad_(true), tensor(positions));
    }
}
