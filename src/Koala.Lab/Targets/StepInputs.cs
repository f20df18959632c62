using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>What the decoder layers need beside the embedded tokens.</summary>
/// <remarks>
/// B sequences, T new tokens each, L cache slots that attention looks at, G query heads per key/value head. Cosines and sines are
/// [B,T,1,headDim], the first half of the sines negated. A mask is what is added to the attention scores: 0 where a token attends to a
/// slot, -infinity elsewhere, [B or 1,1,G·T,L].
/// </remarks>
/// <param name="Full">The rotations of layers that attend to everything.</param>
/// <param name="Local">The rotations of layers with a sliding window, which may be the same.</param>
/// <param name="None">Rotations that change nothing; null if no layer needs them.</param>
/// <param name="Mask">The mask of layers that attend to everything.</param>
/// <param name="WindowMask">The mask of layers with a sliding window, which may be the same.</param>
/// <param name="Slots">The cache rows of the new keys and values, [B·kvHeads·T], int64.</param>
/// <param name="KeyValueLength">L, which is the same for all sequences.</param>
internal readonly record struct StepInputs((Tensor Cos, Tensor Sin) Full, (Tensor Cos, Tensor Sin) Local, (Tensor Cos, Tensor Sin)? None,
    Tensor Mask, Tensor WindowMask, Tensor Slots, int KeyValueLength)
{
    /// <summary>The rotations of a layer.</summary>
    public (Tensor Cos, Tensor Sin) Rotations(ModelConfig config, int layer) =>
        config.UnrotatedLayers.Contains(layer) ? None!.Value : config.WindowOf(layer) is null ? Full : Local;
}
