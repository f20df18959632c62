using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>The parts of an EAGLE head: its initial weights, its folder, its vocabulary, and what is refused.</summary>
public sealed class EagleHeadTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(EagleDrafterTests.Variants), MemberType = typeof(EagleDrafterTests))]
    public void Saved_and_loaded_a_head_is_the_same(EagleOptions options)
    {
        using var scope = NewDisposeScope();
        using var head = EagleFixtures.Random(ShippedModels.Nano, options);
        head.Save(_folder.Path, "card");
        using var loaded = DraftHead.Load(_folder.Path, ShippedModels.Nano);
        TinyModels.AssertSame(head, loaded);
        Assert.Equal(options with { Architecture = ((EagleOptions)head.Options).Architecture }, loaded.Options);
        Assert.Equal(head.Vocabulary?.Tokens, loaded.Vocabulary?.Tokens);
        Assert.Equal(head.FeatureLayers, loaded.FeatureLayers);
        using var batch = Batch(head);
        var (one, other) = (head.Predict(batch, ShippedModels.Nano), loaded.Predict(batch, ShippedModels.Nano));
        foreach (var (a, b) in one.Zip(other)) Assert.True(a.Logits.equal(b.Logits).all().item<bool>());
    }

    [Fact]
    public void Tensors_have_their_published_names_and_nothing_of_the_target_is_stored()
    {
        using (var head = DraftHead.Create(new EagleOptions { Layers = 2 }, ShippedModels.Nano))
            head.Save(_folder.Path, "card");
        using var file = SafetensorsFile.Open(_folder.At("model.safetensors"));
        using var published = Golden.Open("heads-koala-nano", "eagle-k2.safetensors");
        Assert.Equal(published.Tensors.Keys.Order(StringComparer.Ordinal), file.Tensors.Keys.Order(StringComparer.Ordinal));
        Assert.All(published.Tensors, t => Assert.Equal(t.Value.Shape, file.Tensors[t.Key].Shape));
    }

    [Fact]
    public void Layers_after_the_first_start_as_the_identity_and_the_seed_decides_the_rest()
    {
        using var scope = NewDisposeScope();
        using var one = DraftHead.Create(new EagleOptions(), ShippedModels.Nano, seed: 4);
        using var three = DraftHead.Create(new EagleOptions { Layers = 3 }, ShippedModels.Nano, seed: 4);
        using var other = DraftHead.Create(new EagleOptions(), ShippedModels.Nano, seed: 5);
        using var batch = Batch(one);
        Assert.Equal(TinyModels.Doubles(EagleFixtures.TrainingOutputs(one, batch)[1]),
            TinyModels.Doubles(EagleFixtures.TrainingOutputs(three, batch)[1]));
        Assert.NotEqual(TinyModels.Doubles(EagleFixtures.TrainingOutputs(one, batch)[1]),
            TinyModels.Doubles(EagleFixtures.TrainingOutputs(other, batch)[1]));
    }

    [Fact]
    public void Head_outputs_are_compared_where_the_target_predicts_the_same_token_and_every_weight_learns()
    {
        using var scope = NewDisposeScope();
        using var head = EagleFixtures.Random(ShippedModels.Nano,
            new EagleOptions { Layers = 2, Bias = true, FusedFeatures = true });
        using var batch = Batch(head);
        var headOutputs = head.Predict(batch, ShippedModels.Nano);
        Assert.Equal([0, 1, 2], headOutputs.Select(p => p.Depth));
        foreach (var output in headOutputs)
        {
            Assert.Equal(batch.LabelPositions(2 + output.Depth).Select(position => position + 1 + output.Depth),
                output.TargetPositions.data<long>().ToArray());
            Assert.Equal([output.TargetPositions.shape[0], 512], output.Logits.shape);
            Assert.Equal([output.TargetPositions.shape[0], 64], output.Features!.shape);
        }
        headOutputs[2].Logits.logsumexp(-1).sum().backward();
        Assert.All(head.Parameters, p => Assert.True(p.Value.grad!.abs().sum().item<float>() > 0, p.Key));
        Assert.Null(batch.Features.grad);
    }

    [Fact]
    public void Noise_follows_from_its_seed_and_stays_below_its_amplitude()
    {
        using var scope = NewDisposeScope();
        Tensor Noise(long seed)
        {
            using var cache = ShippedModels.Nano.NewCache(2, 64);
            using var batch = new TrainingBatch(ShippedModels.Nano, cache,
                [TinyModels.Data.Rows[0], TinyModels.Data.Rows[1]]) { Noise = (0.3, seed) };
            return batch.WithNoise(batch.Features) - batch.Features;
        }
        var noise = Noise(1);
        Assert.InRange(noise.abs().max().item<float>(), 0.29, 0.3001);
        Assert.InRange(noise.mean().item<float>(), -0.02, 0.02);
        Assert.Equal(TinyModels.Doubles(noise), TinyModels.Doubles(Noise(1)));
        Assert.NotEqual(TinyModels.Doubles(noise), TinyModels.Doubles(Noise(2)));
        // Each half follows a uniform distribution, and the numbers of one seed are not those of another, shifted.
        var (one, other) = (TinyModels.Doubles(UniformNoise.Sample([20_000], 1, CPU)),
            TinyModels.Doubles(UniformNoise.Sample([20_000], 2, CPU)));
        foreach (var part in (double[][])[one[..10_000], one[10_000..], other])
        {
            Assert.InRange(part.Average(), -0.03, 0.03);
            Assert.InRange(part.Average(x => x * x), 1 / 3.0 - 0.015, 1 / 3.0 + 0.015);
            Assert.InRange(part.Zip(part.Skip(1), (a, b) => a * b).Average(), -0.02, 0.02);
        }
        foreach (var moved in (int[])[0, 1, 2, 7])
            Assert.InRange(one.Skip(moved).Zip(other, (a, b) => a * b).Average(), -0.015, 0.015);
        Assert.Equal(20_000, one.Distinct().Count(), 40.0);
    }

    [Theory, InlineData(3), InlineData(4), InlineData(5), InlineData(6), InlineData(8), InlineData(30), InlineData(80)]
    public void Three_different_layers_are_fused(int count)
    {
        var layers = EagleHead.LayersToFuse(count);
        Assert.Equal(layers.Distinct().Order(), layers);
        Assert.All(layers, layer => Assert.InRange(layer, 0, count - 1));
        if (count >= 8) Assert.Equal([1, count / 2 - 1, count - 4], layers);
    }

    [Fact]
    public void The_draft_vocabulary_is_the_most_frequent_tokens_and_all_that_end_an_answer()
    {
        using var head = DraftHead.Create(new EagleOptions { DraftVocabulary = 5 }, ShippedModels.Nano);
        var counts = new long[512];
        foreach (var (token, count) in ((int, int)[])[(300, 9), (40, 8), (7, 8), (400, 5), (8, 1), (500, 5)])
            counts[token] = count;
        head.ChooseVocabulary(counts, ShippedModels.Nano);
        int[] ends = [.. ShippedModels.Nano.Config.EndOfSequenceIds];
        Assert.Equal(ends.Concat([300, 7, 40, 400, 500]).Take(5).Order(), head.Vocabulary!.Tokens);
        Assert.Equal(512, head.Vocabulary.TargetVocabularySize);
    }

    [Fact]
    public void A_stored_map_that_contradicts_itself_is_refused()
    {
        using var scope = NewDisposeScope();
        using (var head = DraftHead.Create(new EagleOptions { DraftVocabulary = 5 }, ShippedModels.Nano))
        {
            head.Save(_folder.Path, "card");
            foreach (var offset in (long[])[-1, 600, long.MaxValue])
            {
                var wrong = KeyValuePair.Create("d2t", tensor(new[] { 0, 0, offset, 0, 0 }));
                SafetensorsWriter.Write(_folder.At("model.safetensors"),
                    [.. head.ToStateDict().Select(t => t.Key == "d2t" ? wrong : t)]);
                Assert.Contains("d2t",
                    Assert.Throws<KoalaException>(() => DraftHead.Load(_folder.Path, ShippedModels.Nano)).Message,
                    StringComparison.Ordinal);
            }
        }
    }

    public static TheoryData<string, EagleOptions> Wrong => new()
    {
        { "layers", new() { Layers = 0 } },
        { "draftVocabulary", new() { DraftVocabulary = -1 } },
        { "draftVocabulary", new() { DraftVocabulary = 513 } },
    };

    [Theory, MemberData(nameof(Wrong))]
    public void Sizes_out_of_range_are_refused(string option, EagleOptions options) =>
        Assert.Equal(option, Assert.Throws<KoalaException>(() => DraftHead.Create(options, ShippedModels.Nano)).Where);

    private static TrainingBatch Batch(DraftHead head)
    {
        using var cache = ShippedModels.Nano.NewCache(2, 64);
        return new TrainingBatch(ShippedModels.Nano, cache, [TinyModels.Data.Rows[0], TinyModels.Data.Rows[1]],
            head.FeatureLayers) { TrainingTimeTestSteps = 3 };
    }
}
