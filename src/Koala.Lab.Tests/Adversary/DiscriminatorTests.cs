using Koala.Lab.Adversary;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Adversary;

[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class DiscriminatorTests
{
    [Fact]
    public void Scores_are_those_of_three_layers_by_hand()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(2, CPU);
        using var discriminator = new Discriminator(20, 6, 1, CPU);
        foreach (var (name, value) in discriminator.Parameters)
            if (name.EndsWith("bias", StringComparison.Ordinal)) value.add_(randn(value.shape, generator: generator));
        var p = (randn(5, 20, generator: generator) * 2).softmax(-1);
        var weights = discriminator.Parameters.ToDictionary(w => w.Key, w => TinyModels.Doubles(w.Value));

        var expected = TinyModels.Doubles(p).Chunk(20).Select(row =>
        {
            double[] x = row;
            for (var layer = 0; layer < 3; layer++)
            {
                double[] y = [.. weights[$"{layer}.weight"].Chunk(x.Length)
                    .Zip(weights[$"{layer}.bias"], (w, b) => w.Zip(x, (a, c) => a * c).Sum() + b)];
                x = layer < 2 ? [.. y.Select(v => v > 0 ? v : 0.2 * v)] : y;
            }
            return x.Single();
        }).ToArray();
        var scores = discriminator.Score(p);
        Assert.Equal([5], scores.shape);
        foreach (var (e, s) in expected.Zip(TinyModels.Doubles(scores)))
            Tolerance.AssertClose(e, s, 20 + 6 + 6, magnitude: Math.Max(1, Math.Abs(e)));
    }

    [Fact]
    public void Spectral_norm_divides_by_the_largest_singular_value()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(4, CPU);
        using var normed = new Discriminator(20, 6, 1, CPU, spectralNorm: true);
        using var plain = new Discriminator(20, 6, 1, CPU);
        for (var i = 0; i < 200; i++) normed.FollowWeights();
        for (var layer = 0; layer < 3; layer++)
        {
            var weight = plain.Parameters[$"{layer}.weight"];
            weight.div_(linalg.svdvals(weight).max());
        }
        var x = randn(5, 20, generator: generator);
        foreach (var (e, a) in TinyModels.Doubles(plain.Score(x)).Zip(TinyModels.Doubles(normed.Score(x)))) Assert.Equal(e, a, 5e-5);
        Assert.Equal(["0.left", "1.left", "2.left"], normed.State.Select(t => t.Key));
        Assert.Empty(plain.State);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-7)]
    public void Initial_weights_depend_on_the_seed_only(int seed)
    {
        using var one = new Discriminator(30, 8, seed, CPU);
        rand(3).Dispose();
        using var two = new Discriminator(30, 8, seed, CPU);
        using var other = new Discriminator(30, 8, seed + 1, CPU);
        for (var i = 0; i < one.Parameters.Count; i++)
            Assert.Equal(TinyModels.Doubles(one.Parameters[i].Value), TinyModels.Doubles(two.Parameters[i].Value));
        Assert.NotEqual(TinyModels.Doubles(one.Parameters[0].Value), TinyModels.Doubles(other.Parameters[0].Value));
        Assert.All(one.Parameters, p => Assert.True(p.Value.requires_grad));
        Assert.All(TinyModels.Doubles(one.Parameters[0].Value), w => Assert.InRange(Math.Abs(w), 0, 1 / Math.Sqrt(30)));
    }
}

/// <summary>Nothing may draw from torch's global generator during the test.</summary>
[CollectionDefinition(nameof(GlobalGeneratorTests), DisableParallelization = true)]
[Collection(nameof(GlobalGeneratorTests))]
public sealed class GlobalGeneratorTests
{
    [Fact]
    public void Neither_a_discriminator_nor_training_touches_torchs_own_generator()
    {
        using var scope = NewDisposeScope();
        var before = random.get_rng_state().clone();
        using (new Discriminator(30, 8, 3, CPU))
        using (TinyModels.Train(TinyModels.WithAdversary with { Steps = 2 }))
            Assert.True(before.equal(random.get_rng_state()).all().item<bool>());
    }
}
