using Koala.Lab.Drafting;
using MathNet.Numerics.Random;

namespace Koala.Lab.Decoding.Sampling;

/// <summary>How candidates are chosen from a drafter's logits.</summary>
internal static class TokenSamplers
{
    /// <summary>Takes the best candidates, or draws them where verification has to know their distribution.</summary>
    /// <param name="options">How answers are generated.</param>
    /// <param name="random">A generator for each sequence.</param>
    public static ITokenSampler Create(GenerationOptions options, IReadOnlyList<RandomSource> random) => options switch
    {
        { Temperature: 0 } => new GreedySampler(options.FullTrace),
        // Typical acceptance asks how likely a candidate is to the target, not where it comes from: the best ones are kept most often.
        { Acceptance: AcceptanceMode.Typical } => new GreedySampler(options.FullTrace),
        _ => new MultinomialSampler(options, random),
    };
}
