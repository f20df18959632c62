using Koala.Lab.Drafting;
using MathNet.Numerics.Random;

namespace Koala.Lab.Decoding.Sampling;

/// <summary>Creates the sampler that chooses candidates from a drafter's logits.</summary>
internal static class TokenSamplers
{
    /// <summary>
    /// A sampler that takes the best candidates, or draws them where verification needs their distribution.
    /// </summary>
    /// <param name="options">How answers are generated.</param>
    /// <param name="random">One random generator per sequence.</param>
    public static ITokenSampler Create(GenerationOptions options, IReadOnlyList<RandomSource> random) => options switch
    {
        { Temperature: 0 } => new GreedySampler(options.FullTrace),
        // Typical acceptance needs the target's probability of a candidate only. The best candidates are accepted most
        // often.
        { Acceptance: AcceptanceMode.Typical } => new GreedySampler(options.FullTrace),
        _ => new MultinomialSampler(options, random),
    };
}
