using Koala.Lab.Checkpoints;

namespace Koala.Lab.Heads.Eagle;

/// <summary>The sizes of the decoder layers of a published head, where they need not be those of its target.</summary>
/// <param name="Heads">The number of query heads.</param>
/// <param name="KeyValueHeads">The number of key heads, and of value heads.</param>
/// <param name="HeadDim">The width of an attention head.</param>
/// <param name="IntermediateSize">The width inside the feed-forward part.</param>
/// <param name="RmsNormEps">The number that the norms add under the root.</param>
/// <param name="RopeTheta">The base of the rotary frequencies.</param>
/// <param name="RopeScaling">How the rotary positions are stretched; null if they are not.</param>
/// <param name="AttentionBias">Whether the query, key and value projections have biases.</param>
/// <param name="QueryKeyNorm">Whether the queries and keys of each head are normed.</param>
public sealed record EagleDecoderSizes(int Heads, int KeyValueHeads, int HeadDim, int IntermediateSize, double RmsNormEps,
    double RopeTheta, RopeScaling? RopeScaling, bool AttentionBias, bool QueryKeyNorm)
{
    /// <summary>The target's config with these sizes.</summary>
    internal ModelConfig In(ModelConfig target) => target with
    {
        Heads = Heads,
        KeyValueHeads = KeyValueHeads,
        HeadDim = HeadDim,
        IntermediateSize = IntermediateSize,
        RmsNormEps = RmsNormEps,
        RopeTheta = RopeTheta,
        RopeScaling = RopeScaling,
        AttentionBias = AttentionBias,
        QueryKeyNorm = QueryKeyNorm,
    };
}
