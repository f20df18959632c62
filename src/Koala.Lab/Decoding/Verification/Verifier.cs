using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>Decides which candidates are accepted, so that the output is the target's own.</summary>
/// <remarks>After "Fast Inference from Transformers via Speculative Decoding" (arXiv 2211.17192).</remarks>
internal abstract class Verifier
{
    /// <summary>
    /// Copies to the host what verification needs. This is the only synchronisation of a round's target step.
    /// </summary>
    /// <param name="logits">The target's logits, [B,T,V].</param>
    /// <returns>The distributions of each sequence, T rows each.</returns>
    public abstract IReadOnlyList<TargetDistributions> Score(Tensor logits);

    /// <summary>
    /// Goes down the tree from the root and accepts at most one child of each node, until no child is accepted.
    /// </summary>
    /// <param name="distributions">The target's distributions for the sequence.</param>
    /// <param name="draft">The candidates of the sequence.</param>
    /// <param name="random">The random generator of the sequence.</param>
    public abstract AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random);

    /// <summary>The verifier for these options: greedy, typical or sampling.</summary>
    public static Verifier Create(GenerationOptions options) => options switch
    {
        { Temperature: 0 } => new GreedyVerifier(options),
        { Acceptance: AcceptanceMode.Typical } => new TypicalVerifier(options),
        _ => new SamplingVerifier(options),
    };

    /// <summary>
    /// The distributions of logits [B,T,V] on the host: for each of B sequences T distributions over V tokens.
    /// </summary>
    protected static float[][][] DistributionsBySequence(Tensor logits, GenerationOptions options) =>
        [.. Distributions.FromLogits(logits.flatten(0, 1), options).Chunk((int)logits.shape[1])];
}
