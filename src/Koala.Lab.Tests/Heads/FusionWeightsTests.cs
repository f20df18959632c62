using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Heads.Published;
using Koala.Lab.Tests.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>Learned weights of the states that a head fuses.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class FusionWeightsTests
{
    private static readonly EagleOptions s_options = new() { FusedFeatures = true, FusedLayers = [0, 1, 2], FusionWeights = true };

    [Fact]
    public void A_new_head_is_the_one_without_weights_and_training_changes_each()
    {
        using var scope = NewDisposeScope();
        using var with = TinyModels.NewHead(s_options);
        using var without = TinyModels.NewHead(s_options with { FusionWeights = false });
        Assert.Equal([1, 1, 1], TinyModels.Doubles(with.Parameters["fuse_weights"]));
        foreach (var (a, b) in Predict(with).Zip(Predict(without))) Assert.Equal(TinyModels.Doubles(b), TinyModels.Doubles(a));
        using var trained = TinyModels.Train(TinyModels.Options with { ValidationAnswers = 0 }, s_options);
        Assert.All(TinyModels.Doubles(trained.Parameters["fuse_weights"]), weight => Assert.NotEqual(1, weight));
    }

    [Fact]
    public void A_weight_multiplies_its_state()
    {
        using var scope = NewDisposeScope();
        using var head = EagleFixtures.Random(ShippedModels.Nano, s_options);
        var (weights, fuse) = (head.Parameters["fuse_weights"], head.Parameters["fuse"]);
        using (no_grad()) weights[1].zero_();
        var before = TinyModels.Doubles(Predict(head)[0]);
        using (no_grad())
        {
            // The columns of a state whose weight is zero have no say; twice the weight with half the columns is the same.
            fuse.narrow(1, 64, 64).mul_(3);
            fuse.narrow(1, 128, 64).mul_(0.5);
            weights[2].mul_(2);
        }
        Assert.Equal(before, TinyModels.Doubles(Predict(head)[0]));
        using (no_grad()) weights[2].mul_(2);
        Assert.NotEqual(before, TinyModels.Doubles(Predict(head)[0]));
        Predict(head)[1].logsumexp(-1).sum().backward();
        Assert.All(TinyModels.Doubles(weights.grad!), gradient => Assert.NotEqual(0, gradient));
    }

    /// <summary>What other programs compute without such weights is what the head computes with them.</summary>
    [Fact]
    public void An_exported_head_has_them_in_the_layer_that_fuses()
    {
        using var scope = NewDisposeScope();
        using var head = EagleFixtures.Random(ShippedModels.Nano, s_options);
        using var folder = new TemporaryFolder();
        HeadExport.Write(head, ShippedModels.Nano, ExportFormat.Speculators, folder.At("out"));
        using var read = DraftHead.Load(folder.At("out"), ShippedModels.Nano);
        Assert.False(((EagleOptions)read.Options).FusionWeights);
        foreach (var (a, b) in Predict(head).Zip(Predict(read))) Assert.Equal(TinyModels.Doubles(a), TinyModels.Doubles(b));
    }

    [Fact]
    public void Packing_and_fusing_leave_no_tensor_behind()
    {
        using var outer = NewDisposeScope();
        using var head = EagleFixtures.Random(ShippedModels.Nano, s_options);
        using var cache = ShippedModels.Nano.NewCache(1, 32);
        int[] text = [.. Enumerable.Range(5, 21)];
        var features = ShippedModels.Nano.Prefill(cache, [text], head.FeatureLayers).Features.narrow(1, 0, 20).clone();
        var counts = new List<long>();
        for (var i = 0; i < 4; i++)
        {
            using (NewDisposeScope())
            using (no_grad())
            {
                // Changed weights are packed again.
                head.Parameters["fuse_weights"].add_(0.1);
                foreach (var drafter in (EagleDrafter[])
                    [(EagleDrafter)head.NewDrafter(ShippedModels.Nano, 1, 40), head.NewTensorDrafter(ShippedModels.Nano, 1, 40)])
                {
                    using var disposable = drafter;
                    drafter.Extend(features, [text]);
                    drafter.First();
                }
            }
            counts.Add(DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
        }
        Assert.Single(counts.Skip(1).Distinct());
    }

    private static IReadOnlyList<Tensor> Predict(DraftHead head)
    {
        using var cache = ShippedModels.Nano.NewCache(1, 64);
        using var batch = new TrainingBatch(ShippedModels.Nano, cache, [TinyModels.Data.Rows[0]], head.FeatureLayers)
        {
            TrainingTimeTestSteps = 2,
        };
        return [.. head.Predict(batch, ShippedModels.Nano).Select(output => output.Logits)];
    }
}
