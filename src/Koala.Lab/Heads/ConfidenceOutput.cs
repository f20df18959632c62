using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>
/// The confidence output of a head: how probable it is that the next drafted token will be accepted, from the state that the head's LM
/// head gets. It is a linear layer with two outputs: the first is about greedy decoding, the second about sampling at temperature 1.
/// </summary>
/// <remarks>
/// After the confidence head of DSpark (arXiv 2607.05147), which also reads the token before. It depends on the tokens before the drafted
/// one and never on that token itself, since a draft that is cut by what was drawn does not keep the target's distribution
/// (<see cref="Drafting.Trees.ConfidenceCut"/>). It learns beside the head: its gradient ends before the state, so the head is the same as
/// without it. D is the width.
/// </remarks>
/// <param name="Weight">The weights, [2,D].</param>
/// <param name="Bias">The biases, [2].</param>
internal sealed record ConfidenceOutput(Tensor Weight, Tensor Bias)
{
    /// <summary>The number of outputs.</summary>
    public const int Outputs = 2;

    /// <summary>The names of the two tensors in <see cref="DraftHead.Parameters"/>.</summary>
    public const string WeightName = "confidence", BiasName = "confidence_bias";

    /// <summary>Whether a parameter of a head belongs to its confidence output.</summary>
    public static bool Owns(string name) => name is WeightName or BiasName;

    /// <summary>The logits of the probabilities, without a gradient to the states.</summary>
    /// <param name="states">The states, [N,D].</param>
    /// <returns>[N,2] in fp32.</returns>
    public Tensor Logits(Tensor states)
    {
        using var scope = NewDisposeScope();
        Tensor Wide(Tensor x) => x.to(ScalarType.Float32);
        return nn.functional.linear(Wide(states.detach()), Wide(Weight), Wide(Bias)).MoveToOuterDisposeScope();
    }

    /// <summary>The probability that the token after each state will be accepted.</summary>
    /// <param name="states">The states, [N,D].</param>
    /// <param name="sampled">Whether tokens are sampled; otherwise decoding is greedy.</param>
    /// <returns>N numbers from 0 to 1.</returns>
    public float[] Probabilities(Tensor states, bool sampled)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Logits(states).select(1, sampled ? 1 : 0).sigmoid().cpu().contiguous().data<float>().ToArray();
    }
}
