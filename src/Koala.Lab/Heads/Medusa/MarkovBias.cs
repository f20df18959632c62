using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>What the token before adds to the logits of a token: a matrix of low rank over pairs of tokens.</summary>
/// <remarks>
/// After the Markov head of DSpark (arXiv 2607.05147). It makes the heads sequential for the price of one small product:
/// their own logits, which cost the most, are computed for all positions at once as before. It begins as zero. In shapes V
/// is the size of the vocabulary, r the rank and N the number of tokens.
/// </remarks>
/// <param name="Before">The rows of the tokens before, [V,r].</param>
/// <param name="After">The rows of the tokens after, [V,r].</param>
internal sealed record MarkovBias(Tensor Before, Tensor After)
{
    /// <summary>A new bias, which is zero.</summary>
    public static MarkovBias Create(int rank, Target target, int seed)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        var vocabulary = target.Config.VocabularySize;
        Tensor Parameter(Tensor value) => value.to(target.Device).DetachFromDisposeScope().requires_grad_(true);
        return new MarkovBias(Parameter(randn(vocabulary, rank, generator: generator) / Math.Sqrt(rank)),
            Parameter(zeros(vocabulary, rank)));
    }

    /// <summary>The bias of the logits after some tokens.</summary>
    /// <param name="tokens">The token before each, [N] int64.</param>
    /// <param name="dtype">The dtype of the logits.</param>
    /// <returns>[N,V].</returns>
    public Tensor Logits(Tensor tokens, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        return nn.functional.linear(Before.index_select(0, tokens).to(dtype), After.to(dtype)).MoveToOuterDisposeScope();
    }

    /// <summary>A copy without gradients.</summary>
    public MarkovBias Copy() =>
        new(Before.detach().clone().DetachFromDisposeScope(), After.detach().clone().DetachFromDisposeScope());
}
