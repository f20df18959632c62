using static TorchSharp.torch;

namespace Koala.Lab.Heads.Learning;

/// <summary>A head's output at N positions of a training batch for one depth of its draft.</summary>
/// <remarks>In shapes V' is the size of the head's vocabulary and D the width of the target.</remarks>
/// <param name="Depth">The depth in the draft; 0 for the first drafted token.</param>
/// <param name="Logits">The head's logits, [N,V'] in fp32.</param>
/// <param name="TargetPositions">
/// The positions, [N] int64, at which the target itself decides the same tokens. The target's distribution there is the
/// soft label, and the token after the position is the hard label. A predicted feature is compared with the target's
/// feature there.
/// </param>
public sealed record HeadOutput(int Depth, Tensor Logits, Tensor TargetPositions)
{
    /// <summary>The features that the head predicts, [N,D] in fp32; null for a head that predicts none.</summary>
    public Tensor? Features { get; init; }

    /// <summary>
    /// The logits of the head's confidences, [N,2] in fp32: that the token will be accepted in greedy decoding, and in sampling at
    /// temperature 1. Null for a head without a confidence output.
    /// </summary>
    public Tensor? Confidence { get; init; }

    /// <summary>
    /// The target's token id of each logit, [V'] int64 in ascending order; null means the target's whole vocabulary.
    /// The head owns the tensor, so it must not be disposed.
    /// </summary>
    public Tensor? Vocabulary { get; init; }
}
