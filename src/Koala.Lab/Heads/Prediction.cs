using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>What a head says about N places of a training batch, for one depth of its draft.</summary>
/// <param name="Depth">0 for the first drafted token.</param>
/// <param name="Logits">[N,V] in fp32.</param>
/// <param name="Judges">
/// The place, [N] int64, where the target itself decides the same token: its distribution there is the soft label, the token after it the hard one.
/// </param>
public sealed record Prediction(int Depth, Tensor Logits, Tensor Judges);
