using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>What the decoder layers need beside the embedded tokens. B sequences, T new tokens each, L cache slots seen, G query heads a key/value head.</summary>
/// <param name="Cos">Cosines of the positions' rotations, [B,T,1,headDim].</param>
/// <param name="Sin">Sines, the first half negated, [B,T,1,headDim].</param>
/// <param name="Mask">Added to the attention scores: 0 where a token sees a slot, -infinity where not, [B or 1,1,G·T,L].</param>
/// <param name="Slots">Cache rows that the new keys and values go to, [B·kvHeads·T], int64.</param>
/// <param name="KeyValueLength">L: cache slots that attention looks at, the same for all sequences.</param>
internal readonly record struct StepInputs(Tensor Cos, Tensor Sin, Tensor Mask, Tensor Slots, int KeyValueLength);
