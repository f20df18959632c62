using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Tests.Training;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>EAGLE-3.1's two options: a norm for each fused state, and a head that continues from its normed output.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class EagleNormsTests
{
    private static readonly EagleOptions s_options = new() { FusedFeatures = true, FeatureNorms = true, NormOutput = true };

    public static TheoryData<EagleOptions, string> Refused => new()
    {
        { new EagleOptions { FeatureNorms = true }, "featureNorms: is set, but only the architecture of EAGLE-3 has it" },
        { new EagleOptions { NormOutput = true }, "has it. Fix: set fusedFeatures and leave out bias and architecture" },
        { s_options with { Architecture = EagleArchitecture.Eagle1 }, "featureNorms: is set" },
        { s_options with { Bias = true }, "featureNorms: is set" },
        { s_options with { NormBeforeFc = true }, "leave out normBeforeFc" },
    };

    [Theory, MemberData(nameof(Refused))]
    public void Heads_without_such_norms_refuse_them_in_one_line(EagleOptions options, string fault)
    {
        var message = Assert.Throws<KoalaException>(() => DraftHead.Create(options, ShippedModels.Nano)).Message;
        Assert.Contains(fault, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void A_new_head_has_norms_of_ones_and_the_output_norm_of_the_target_and_training_changes_them()
    {
        using var scope = NewDisposeScope();
        using var head = TinyModels.NewHead(s_options);
        string[] norms = ["fuse_norms.0", "fuse_norms.1", "fuse_norms.2"];
        Assert.All(norms, norm => Assert.All(TinyModels.Doubles(head.Parameters[norm]), weight => Assert.Equal(1, weight)));
        Assert.Equal(TinyModels.Doubles(ShippedModels.Nano.Model.FinalNorm), TinyModels.Doubles(head.Parameters["norm"]));
        using var trained = TinyModels.Train(TinyModels.Options with { TrainingTimeTest = 2, ValidationAnswers = 0 }, s_options);
        foreach (var name in (string[])[.. norms, "norm"])
            Assert.NotEqual(TinyModels.Doubles(head.Parameters[name]), TinyModels.Doubles(trained.Parameters[name]));
    }

    /// <summary>Each gradient is the change of the loss when a weight of the norm is changed.</summary>
    [Theory, InlineData("fuse_norms.0"), InlineData("fuse_norms.2"), InlineData("norm")]
    public void Gradients_reach_the_norms_weights(string name)
    {
        using var scope = NewDisposeScope();
        using var head = EagleFixtures.Random(ShippedModels.Nano, s_options);
        using var cache = ShippedModels.Nano.NewCache(1, 64);
        using var batch = new TrainingBatch(ShippedModels.Nano, cache, [TinyModels.Data.Rows[0]], head.FeatureLayers)
        {
            TrainingTimeTestSteps = 2,
        };
        Tensor Loss()
        {
            var outputs = head.Predict(batch, ShippedModels.Nano);
            return new SupervisedLoss([new LossTerm("soft-cross-entropy")]).Compute(DistillationTerms.OfAllDepths(outputs, batch)).Total;
        }
        Loss().backward();
        var gradient = head.Parameters[name].grad!;
        var weight = head.Parameters[name];
        // Along the gradient the loss changes by the gradient's squared norm.
        var direction = gradient / gradient.norm();
        const double Step = 1e-2;
        double At(double distance)
        {
            using var _ = no_grad();
            weight.add_(direction * distance);
            var loss = Loss().item<float>();
            weight.sub_(direction * distance);
            return loss;
        }
        var slope = (At(Step) - At(-Step)) / (2 * Step);
        var expected = gradient.norm().item<float>();
        Assert.True(expected > 0.01, $"{name}: a gradient of {expected}");
        Assert.InRange(slope / expected, 0.95, 1.05);
    }

    /// <summary>The kernels of a CPU and libtorch's operators draft from the same outputs.</summary>
    [Theory, MemberData(nameof(EagleDrafterTests.Variants), MemberType = typeof(EagleDrafterTests))]
    public void The_drafter_on_a_CPU_equals_the_one_in_tensor_operators(EagleOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var target = ShippedModels.Nano;
        using var head = EagleFixtures.Random(target, options);
        int[] text = [.. Enumerable.Range(0, 24).Select(i => 3 + i * i * 7 % 480)];
        using var cache = target.NewCache(1, text.Length);
        var features = target.Prefill(cache, [text], head.FeatureLayers).Features;
        using var onCpu = (EagleDrafter)head.NewDrafter(target, 1, 40);
        using var inTensors = head.NewTensorDrafter(target, 1, 40);
        Assert.IsType<EagleCpuDrafter>(onCpu);
        foreach (var (from, to) in ((int, int)[])[(0, 9), (9, 12), (12, 20)])
        {
            foreach (var drafter in (EagleDrafter[])[onCpu, inTensors])
                drafter.Extend(features.narrow(1, from, to - from), [text[from..(to + 1)]]);
            AssertClose(inTensors.First(), onCpu.First());
            AssertClose(inTensors.Next([[5, 9]], [[0, 0]]), onCpu.Next([[5, 9]], [[0, 0]]));
            AssertClose(inTensors.Next([[7, 11, 13]], [[1, 0, 1]]), onCpu.Next([[7, 11, 13]], [[1, 0, 1]]));
            AssertClose(inTensors.Outputs, onCpu.Outputs);
        }

        void AssertClose(Tensor expected, Tensor actual)
        {
            var layers = target.Config.Layers + 3 * options.Layers;
            var roundings = Tolerance.Roundings(target.Config, layers, text.Length, 8L * target.Config.HiddenSize);
            Tolerance.AssertClose(expected, actual, roundings, 10);
        }
    }
}
