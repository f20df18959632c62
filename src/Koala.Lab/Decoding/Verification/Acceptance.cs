using Koala.Lab.Heads;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>Decides which candidates are kept, so that the output stays the target's own.</summary>
/// <remarks>After "Fast Inference from Transformers via Speculative Decoding" (arXiv 2211.17192).</remarks>
internal abstract class Acceptance
{
    /// <summary>Brings to the host what the rule needs; the one synchronisation of a round's target step.</summary>
    /// <param name="logits">The target's, [B,T,V].</param>
    /// <returns>Of each sequence, T rows.</returns>
    public abstract IReadOnlyList<Scores> Score(Tensor logits);

    /// <summary>Goes down from the root, keeping a child at a time, until none passes.</summary>
    /// <param name="scores">Of the sequence.</param>
    /// <param name="draft">Its candidates.</param>
    /// <param name="random">Its generator.</param>
    public abstract Verdict Judge(Scores scores, Draft draft, RandomSource random);

    public static Acceptance For(GenerationOptions options) => options switch
    {
        { Temperature: 0 } => new GreedyAcceptance(options),
        { Acceptance: AcceptanceRule.Typical } => new TypicalAcceptance(options),
        _ => new SamplingAcceptance(options),
    };

    /// <summary>Rows [B,T,V] on the host, by sequence.</summary>
    protected static float[][][] ByEach(Tensor logits, GenerationOptions options) =>
        [.. Distributions.Of(logits.flatten(0, 1), options).Chunk((int)logits.shape[1])];
}
