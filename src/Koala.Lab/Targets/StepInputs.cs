using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>What the decoder layers need beside the embedded tokens.</summary>
/// <remarks>
/// B sequences, T new tokens each, L cache slots that attention looks at, G query heads per key/value head.
/// </remarks>
/// <param name="Cos">The cosines of the positions' rotations, [B,T,1,headDim].</param>
/// <param name="Sin">The sines, the first half negated, [B,T,1,headDim].</param>
/// <param name="Mask">
/// What is added to the attention scores: 0 where a token attends to a slot, -infinity elsewhere, [B or 1,1,G·T,L].
/// </param>
/// <param name="Slots">The cache rows of the new keys and values, [B·kvHeads·T], int64.</param>
/// <param name="KeyValueLength">L, which is the same for all sequences.</param>
internal readonly record struct StepInputs(Tensor Cos, Tensor Sin, Tensor Mask, Tensor Slots, int KeyValueLength);
