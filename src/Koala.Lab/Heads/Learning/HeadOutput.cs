using static TorchSharp.torch;

namespace Koala.Lab.Heads.Learning;

/// <summary>What a head says about N places of a training batch, for one depth of its draft. V' its vocabulary, D width of the target.</summary>
/// <param name="Depth">0 for the first drafted token.</param>
/// <param name="Logits">[N,V'] in fp32.</param>
/// <param name="TargetPositions">
/// The place, [N] int64, where the target itself decides the same token: its distribution there is the soft label, the token after it the hard one,
/// its feature there what a predicted feature is compared with.
/// </param>
public sealed record HeadOutput(int Depth, Tensor Logits, Tensor TargetPositions)
{
    /// <summary>The features it predicts, [N,D] in fp32; null for a head that predicts none.</summary>
    public Tensor? Features { get; init; }

    /// <summary>The target's token of each of its logits, [V'] int64, rising; the head's own, not to be disposed. Null: all of the target's.</summary>
    public Tensor? Vocabulary { get; init; }
}
