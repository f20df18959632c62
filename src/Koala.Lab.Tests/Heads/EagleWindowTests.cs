using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Tests.Decoding;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>
/// Heads whose attention sees the last pairs only. <see cref="EagleDrafterTests"/> holds drafting to the training pass with windows too.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class EagleWindowTests
{
    /// <summary>In training, in the kernels of a CPU and in tensor operators.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void A_window_as_long_as_the_context_is_bit_identical_to_none(bool fused)
    {
        using var scope = NewDisposeScope();
        var (target, options) = (ShippedModels.Nano, new EagleOptions { Layers = 2, FusedFeatures = fused });
        using var without = EagleFixtures.Random(target, options);
        using var with = EagleFixtures.Random(target, options with { Window = 64 });
        TinyModels.AssertSame(without, with);
        foreach (var (a, b) in Predict(without).Zip(Predict(with))) Assert.Equal(TinyModels.Doubles(a), TinyModels.Doubles(b));

        using var _ = no_grad();
        foreach (var tensors in (bool[])[false, true])
            Assert.Equal(Drafted(without, tensors, 48), Drafted(with, tensors, 48));
    }

    [Fact]
    public void What_lies_before_the_window_changes_nothing_and_what_lies_in_it_does()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        // Of one layer: a second one would see further back through the first.
        using var head = EagleFixtures.Random(ShippedModels.Nano, new EagleOptions { Window = 16 });
        using var open = EagleFixtures.Random(ShippedModels.Nano, new EagleOptions());
        foreach (var tensors in (bool[])[false, true])
        {
            // The root's pair is at 39, so its window begins at 24, and those of the drafted tokens after it.
            Assert.Equal(Drafted(head, tensors, 40), Drafted(head, tensors, 40, changed: 23));
            Assert.NotEqual(Drafted(head, tensors, 40)[0], Drafted(head, tensors, 40, changed: 24)[0]);
            Assert.NotEqual(Drafted(open, tensors, 40)[0], Drafted(open, tensors, 40, changed: 23)[0]);
        }
    }

    [Fact]
    public void A_trained_head_keeps_its_window_and_changes_no_answer()
    {
        var options = new EagleOptions { Window = 16, FusedFeatures = true, Confidence = true };
        using var head = TinyModels.Train(TinyModels.Options with { Steps = 60, TrainingTimeTest = 3, ValidateEvery = 1000 }, options);
        using var folder = new TemporaryFolder();
        head.Save(folder.At("head"), "card");
        using var read = DraftHead.Load(folder.At("head"), ShippedModels.Nano);
        Assert.Equal(16, ((EagleOptions)read.Options).Window);
        int[][] prompts = [.. PlainDecoding.MtBench(ShippedModels.Nano, 5).Where(p => p.Length < 100)];
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, read) { ChooseDraftLength = false };
        var answers = decoder.GenerateAll(prompts, new GenerationOptions { MaxTokens = 40, DraftLength = 4 });
        Assert.Equal(prompts.Select(prompt => PlainDecoding.Answer(ShippedModels.Nano, prompt, 40)),
            answers.Select(answer => answer.Tokens.ToArray()));
    }

    private static IReadOnlyList<Tensor> Predict(DraftHead head)
    {
        using var cache = ShippedModels.Nano.NewCache(1, 64);
        using var batch = new TrainingBatch(ShippedModels.Nano, cache, [TinyModels.Data.Rows[0]], head.FeatureLayers)
        {
            TrainingTimeTestSteps = 3,
        };
        return [.. head.Predict(batch, ShippedModels.Nano).Select(output => output.Logits)];
    }

    // The logits after a number of pairs and after three drafted tokens. The feature of a changed pair is another one.
    private static double[][] Drafted(EagleHead head, bool tensors, int pairs, int? changed = null)
    {
        using var scope = NewDisposeScope();
        var target = ShippedModels.Nano;
        int[] text = [.. Enumerable.Range(0, pairs + 1).Select(i => 3 + i * i * 7 % 480)];
        using var cache = target.NewCache(1, text.Length);
        var features = target.Prefill(cache, [text], head.FeatureLayers).Features.narrow(1, 0, pairs).clone();
        if (changed is { } pair) features[0, pair].mul_(-1);
        using var drafter = tensors ? head.NewTensorDrafter(target, 1, 80) : (EagleDrafter)head.NewDrafter(target, 1, 80);
        drafter.Extend(features, [text]);
        return
        [
            TinyModels.Doubles(drafter.First()),
            .. Enumerable.Range(5, 3).Select(token => TinyModels.Doubles(drafter.Next([[token]], [[0]]))),
        ];
    }
}
