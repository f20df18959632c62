using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>Decides which candidates are kept, so that the output stays the target's own.</summary>
/// <remarks>After "Fast Inference from Transformers via Speculative Decoding" (arXiv 2211.17192).</remarks>
internal abstract class Verifier
{
    /// <summary>Brings to the host what the rule needs; the one synchronisation of a round's target step.</summary>
    /// <param name="logits">The target's, [B,T,V].</param>
    /// <returns>Of each sequence, T rows.</returns>
    public abstract IReadOnlyList<TargetDistributions> Score(Tensor logits);

    /// <summary>Goes down from the root, keeping a child at a time, until none passes.</summary>
    /// <param name="distributions">Of the sequence.</param>
    /// <param name="draft">Its candidates.</param>
    /// <param name="random">Its generator.</param>
    public abstract AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random);

    public static Verifier Create(GenerationOptions options) => options switch
    {
        { Temperature: 0 } => new GreedyVerifier(options),
        { Acceptance: AcceptanceMode.Typical } => new TypicalVerifier(options),
        _ => new SamplingVerifier(options),
    };

    /// <summary>Rows [B,T,V] on the host, by sequence.</summary>
    protected static float[][][] ByEach(Tensor logits, GenerationOptions options) =>
        [.. Distributions.FromLogits(logits.flatten(0, 1), options).Chunk((int)logits.shape[1])];
}
