using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Runtime;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Temperature, top-k and top-p, compared with values computed by hand.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class DistributionsTests
{
    // This is added to all logits; their rounding errors are proportional to it.
    private const int Shift = 7;

    private static readonly double[] s_probabilities = [0.1, 0.4, 0.05, 0.25, 0.2];

    [Fact]
    public void Temperature_one_is_the_softmax() => AssertNear(s_probabilities, Of(new() { Temperature = 1 }));

    [Fact]
    public void Greedy_options_give_the_plain_softmax() => AssertNear(s_probabilities, Of(new() { TopK = 1, TopP = 0.1 }));

    [Fact]
    public void Temperature_one_half_squares() =>
        AssertNear(Normal([.. s_probabilities.Select(p => p * p)]), Of(new() { Temperature = 0.5 }));

    [Fact]
    public void Temperature_two_takes_the_root() =>
        AssertNear(Normal([.. s_probabilities.Select(Math.Sqrt)]), Of(new() { Temperature = 2 }));

    [Fact]
    public void Top_k_keeps_the_k_likeliest() =>
        AssertNear(Normal([0, 0.4, 0, 0.25, 0.2]), Of(new() { Temperature = 1, TopK = 3 }));

    [Theory, InlineData(5), InlineData(6), InlineData(1000)]
    public void Top_k_of_the_vocabulary_or_more_keeps_all(int k) =>
        AssertNear(s_probabilities, Of(new() { Temperature = 1, TopK = k }));

    [Theory]
    [InlineData(0.39, 1), InlineData(0.41, 2), InlineData(0.64, 2), InlineData(0.66, 3), InlineData(0.84, 3)]
    [InlineData(0.86, 4), InlineData(0.96, 5), InlineData(1.0, 5)]
    public void Top_p_keeps_the_smallest_set_that_reaches_it(double p, int kept)
    {
        var floor = s_probabilities.OrderDescending().ElementAt(kept - 1);
        AssertNear(Normal([.. s_probabilities.Select(x => x >= floor ? x : 0)]), Of(new() { Temperature = 1, TopP = p }));
    }

    [Fact]
    public void Top_p_keeps_at_least_one() => AssertNear([0, 1, 0, 0, 0], Of(new() { Temperature = 1, TopP = 1e-9 }));

    [Fact]
    public void Temperature_comes_before_top_p()
    {
        // Squared and normalised: 0.036, 0.582, 0.009, 0.227, 0.145. One token reaches 0.55 there; without temperature
        // it takes two.
        AssertNear([0, 1, 0, 0, 0], Of(new() { Temperature = 0.5, TopP = 0.55 }));
        AssertNear(Normal([0, 0.4, 0, 0.25, 0]), Of(new() { Temperature = 1, TopP = 0.55 }));
    }

    [Fact]
    public void Top_k_comes_before_top_p()
    {
        // After top-k and renormalisation the first token has 0.615 and reaches 0.6 by itself. Without top-k it takes
        // both tokens.
        AssertNear([0, 1, 0, 0, 0], Of(new() { Temperature = 1, TopK = 2, TopP = 0.6 }));
    }

    [Fact]
    public void Equal_tokens_share_equally_and_top_p_still_cuts_a_tie()
    {
        AssertNear([0.25, 0.25, 0.25, 0.25], Of([0.25, 0.25, 0.25, 0.25], new() { Temperature = 0.7 }));
        var cut = Of([0.25, 0.25, 0.25, 0.25], new() { Temperature = 1, TopP = 0.4 });
        Assert.Equal(2, cut.Count(x => x > 0));
        Assert.All(cut.Where(x => x > 0), x => Assert.Equal(0.5, x, 5));
    }

    [Fact]
    public void Top_k_keeps_all_that_tie_with_the_last() =>
        AssertNear(Normal([0.4, 0.2, 0.2, 0]), Of([0.4, 0.2, 0.2, 0.1], new() { Temperature = 1, TopK = 2 }));

    [Theory, InlineData(1e-3), InlineData(1e-6), InlineData(1e-30), InlineData(1e-39), InlineData(1e-300)]
    public void A_temperature_near_zero_takes_the_best_token(double temperature) =>
        AssertNear([0, 1, 0, 0, 0], Of(new() { Temperature = temperature }));

    [Fact]
    public void Rows_are_treated_apart_and_bf16_is_computed_in_fp32()
    {
        using var scope = NewDisposeScope();
        var rows = Distributions.FromLogits(tensor(new float[] { 0, 1, 2, 2, 1, 0 }).view(2, 3).to(ScalarType.BFloat16),
            new GenerationOptions { Temperature = 1, TopP = 0.8 });
        var e = Math.E;
        AssertNear(Normal([0, e, e * e]), rows[0]);
        AssertNear(Normal([e * e, e, 0]), rows[1]);
    }

    [Fact]
    public void Draws_follow_the_weights_and_never_take_a_weight_of_zero()
    {
        float[] weights = [0, 3, 0, 1, 0];
        var random = RandomStreams.Create(1, 1);
        var counts = new int[5];
        for (var i = 0; i < 40_000; i++) counts[TokenDraw.Sample(weights, random)]++;
        Assert.Equal([0, 0, 0], [counts[0], counts[2], counts[4]]);
        Assert.InRange(counts[1], 30_000 - 450, 30_000 + 450);   // five standard deviations
    }

    private static float[] Of(GenerationOptions options) => Of(s_probabilities, options);

    private static float[] Of(double[] probabilities, GenerationOptions options)
    {
        using var scope = NewDisposeScope();
        // A constant added to all logits changes nothing.
        var logits = tensor(probabilities.Select(p => (float)Math.Log(p) + Shift).ToArray()).view(1, -1);
        return Assert.Single(Distributions.FromLogits(logits, options));
    }

    private static double[] Normal(double[] weights) => [.. weights.Select(w => w / weights.Sum())];

    private static void AssertNear(double[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            Tolerance.AssertClose(expected[i], actual[i], 2 * expected.Length, magnitude: Shift);
    }
}
