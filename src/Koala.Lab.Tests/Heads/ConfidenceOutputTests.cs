using Koala.Lab.Data;
using Koala.Lab.Drafting;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Tests.Training;
using Koala.Lab.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>The output of a head that says how probable it is that a token will be accepted.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class ConfidenceOutputTests
{
    public static TheoryData<HeadOptions> Kinds => new((HeadOptions[])
    [
        new EagleOptions { Confidence = true },
        new EagleOptions { Confidence = true, FusedFeatures = true, DraftVocabulary = 100, Layers = 2 },
        new EagleOptions { Confidence = true, FusedFeatures = true, NormOutput = true },
        new MedusaOptions { Confidence = true, Heads = 3, Layers = 2 },
        new MedusaOptions { Confidence = true, Heads = 3, MarkovRank = 4 },
    ]);

    [Theory, MemberData(nameof(Kinds))]
    public void A_new_one_is_undecided_and_a_saved_one_is_read_again(HeadOptions options)
    {
        using var scope = NewDisposeScope();
        using var created = DraftHead.Create(options, ShippedModels.Nano);
        Assert.True(created.HasConfidences);
        using var batch = Batch(created);
        Assert.All(created.Predict(batch, ShippedModels.Nano),
            output => Assert.All(TinyModels.Doubles(output.Confidence!.sigmoid()), confidence => Assert.Equal(0.5, confidence)));

        using var folder = new TemporaryFolder();
        using var head = Random(options);
        head.Save(folder.At("head"), "card");
        using var read = DraftHead.Load(folder.At("head"), ShippedModels.Nano);
        TinyModels.AssertSame(head, read);
        Assert.True(read.HasConfidences);
        using var first = head.FirstLayers(1, ShippedModels.Nano);
        Assert.Equal(Bytes(head), Bytes(first));

        static byte[] Bytes(DraftHead head) => TinyModels.Bits(head)["confidence.weight"];
    }

    /// <summary>The labels, by hand: the head's best token against the target's, and what p and q have in common.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void The_loss_is_the_cross_entropy_against_what_is_accepted(HeadOptions options)
    {
        using var scope = NewDisposeScope();
        using var head = Random(options);
        using var batch = Batch(head);
        var outputs = head.Predict(batch, ShippedModels.Nano);
        var terms = DistillationTerms.OfAllDepths(outputs, batch);
        var (sum, count) = (0.0, 0);
        foreach (var output in outputs)
        {
            var vocabulary = output.Vocabulary?.data<long>().ToArray();
            var positions = output.TargetPositions.data<long>().ToArray();
            double[] confidences = [.. TinyModels.Doubles(output.Confidence!).Select(logit => 1 / (1 + Math.Exp(-logit)))];
            for (var i = 0; i < positions.Length; i++)
            {
                var q = TinyModels.Doubles(output.Logits[i].softmax(-1));
                var p = TinyModels.Doubles(batch.Probabilities[positions[i]]);
                int TargetId(int id) => (int)(vocabulary?[id] ?? id);
                var best = TargetId(Array.IndexOf(q, q.Max())) == Array.IndexOf(p, p.Max()) ? 1.0 : 0;
                var overlap = q.Select((x, id) => Math.Min(x, p[TargetId(id)])).Sum();
                foreach (var (label, confidence) in (IEnumerable<(double, double)>)
                    [(best, confidences[2 * i]), (overlap, confidences[2 * i + 1])])
                {
                    sum -= label * Math.Log(confidence) + (1 - label) * Math.Log(1 - confidence);
                    count++;
                }
            }
        }
        Assert.True(count > 40);
        Tolerance.AssertClose(sum / count, ConfidenceLoss.Compute(terms)!.item<float>(), 4L * 512 + count);
        foreach (var of in terms) of.Dispose();
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Its_gradient_ends_before_the_head(HeadOptions options)
    {
        using var scope = NewDisposeScope();
        using var head = Random(options);
        using var batch = Batch(head);
        var terms = DistillationTerms.OfAllDepths(head.Predict(batch, ShippedModels.Nano), batch);
        ConfidenceLoss.Compute(terms)!.backward();
        foreach (var (name, value) in head.Parameters)
        {
            var size = value.grad?.abs().sum().item<float>() ?? 0;
            Assert.True(ConfidenceOutput.Owns(name) ? size > 0 : size == 0, $"{name}: a gradient of {size}");
        }
        foreach (var of in terms) of.Dispose();
    }

    /// <summary>Also with gradient clipping, whose norm it does not enter, and with an adversary.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void The_rest_of_the_head_is_bit_identical_to_a_head_without_it(HeadOptions options)
    {
        var training = TinyModels.WithAdversary with { Clip = 0.01, ValidationAnswers = 0, ConfidenceWeight = 30, Steps = 6 };
        var losses = new List<double>();
        using var with = TinyModels.Train(training, options, line => losses.Add(line.ConfidenceLoss!.Value));
        using var without = TinyModels.Train(training,
            options is EagleOptions eagle ? eagle with { Confidence = false } : (MedusaOptions)options with { Confidence = false },
            line => Assert.Null(line.ConfidenceLoss));
        var bits = TinyModels.Bits(with);
        Assert.Equal(2, bits.Keys.Count(name => name.StartsWith("confidence.", StringComparison.Ordinal)));
        foreach (var (name, expected) in TinyModels.Bits(without)) Assert.True(expected.AsSpan().SequenceEqual(bits[name]), name);
        Assert.Equal(Math.Log(2), losses[0], 1e-5);
        Assert.True(losses[^1] < losses[0]);
    }

    /// <summary>What the output is trained on is what a drafter reads, on a CPU and in tensor operators.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void A_drafter_has_the_confidences_of_training(HeadOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var target = ShippedModels.Nano;
        using var head = Random(options);
        var row = TinyModels.Data.Rows[1];
        using var batch = Batch(head, row);
        var outputs = head.Predict(batch, target);
        var position = (int)(outputs[2].TargetPositions[4].item<long>() - 3);   // where the chain begins
        LevelDrafter[] drafters = head is EagleHead eagle
            ? [(LevelDrafter)head.NewDrafter(target, 1, 80), eagle.NewTensorDrafter(target, 1, 80)]
            : [(LevelDrafter)head.NewDrafter(target, 1, 80)];
        foreach (var drafter in drafters)
        {
            using var disposable = drafter;
            drafter.Extend(batch.DraftFeatures.narrow(0, 0, position + 1).unsqueeze(0), [row.Tokens[..(position + 2)]]);
            for (var depth = 0; depth < 3; depth++)
            {
                var logits = depth == 0 ? drafter.First() : drafter.Next([[row.Tokens[position + 1 + depth]]], [[0]]);
                var positions = outputs[depth].TargetPositions.data<long>().ToArray();
                var trained = TinyModels.Doubles(outputs[depth].Confidence![Array.IndexOf(positions, position + 1 + depth)].sigmoid());
                foreach (var sampled in (bool[])[false, true])
                {
                    var confidence = Assert.Single(drafter.Confidences(sampled)!);
                    Assert.Equal(trained[sampled ? 1 : 0], confidence, 1e-4);
                }
            }
        }
        // Several candidates of a level have a confidence each where each has a row of logits.
        using var wide = (LevelDrafter)head.NewDrafter(target, 1, 80);
        wide.Extend(batch.DraftFeatures.narrow(0, 0, 8).unsqueeze(0), [row.Tokens[..9]]);
        wide.First();
        Assert.Equal(wide.Next([[5, 9, 11]], [[0, 0, 0]]).shape[0], wide.Confidences(true)!.Length);
    }

    [Fact]
    public void Reading_confidences_and_computing_the_loss_leaves_no_tensor_behind()
    {
        using var outer = NewDisposeScope();
        using var head = Random(new EagleOptions { Confidence = true });
        using var batch = Batch(head);
        using var drafter = (LevelDrafter)head.NewDrafter(ShippedModels.Nano, 1, 80);
        drafter.Extend(batch.DraftFeatures.narrow(0, 0, 8).unsqueeze(0), [TinyModels.Data.Rows[0].Tokens[..9]]);
        var counts = new List<long>();
        for (var i = 0; i < 4; i++)
        {
            using (NewDisposeScope())
            {
                using (no_grad())
                {
                    drafter.First();
                    drafter.Confidences(sampled: true);
                }
                var terms = DistillationTerms.OfAllDepths(head.Predict(batch, ShippedModels.Nano), batch);
                ConfidenceLoss.Compute(terms)!.backward();
                foreach (var of in terms) of.Dispose();
            }
            counts.Add(DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
        }
        Assert.Single(counts.Skip(1).Distinct());
    }

    [Fact]
    public void Other_heads_and_weights_out_of_range_are_refused()
    {
        using var head = DraftHead.Create(new EagleOptions(), ShippedModels.Nano);
        Assert.False(head.HasConfidences);
        foreach (var weight in (double[])[0, -1, double.NaN, double.PositiveInfinity])
            Assert.Equal("ConfidenceWeight",
                Assert.Throws<KoalaException>((TinyModels.Options with { ConfidenceWeight = weight }).Validate).Option);
    }

    internal static DraftHead Random(HeadOptions options)
    {
        var head = options is EagleOptions eagle
            ? EagleFixtures.Random(ShippedModels.Nano, eagle)
            : DraftHead.Create(options, ShippedModels.Nano, seed: 3);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(9, CPU);
        foreach (var (name, value) in head.Parameters)
        {
            if (ConfidenceOutput.Owns(name)) value.copy_(randn(value.shape, generator: generator) * 0.2);
            else if (options is MedusaOptions) value.copy_(randn(value.shape, generator: generator) * 0.1);
        }
        return head;
    }

    private static TrainingBatch Batch(DraftHead head, PackedRow? row = null)
    {
        using var cache = ShippedModels.Nano.NewCache(1, 64);
        return new TrainingBatch(ShippedModels.Nano, cache, [row ?? TinyModels.Data.Rows[0]], head.FeatureLayers)
        {
            TrainingTimeTestSteps = 3,
        };
    }
}
