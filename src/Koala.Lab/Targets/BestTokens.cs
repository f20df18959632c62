using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The best token of each row of logits, on their device. A row whose best logit is not finite has none.</summary>
/// <remarks>
/// A NaN counts as the best logit, so that a model or head with broken numbers would seem to choose a token. Everything here is a few
/// operations on one number per row, and reads nothing on the host.
/// </remarks>
internal static class BestTokens
{
    /// <summary>What stands for the token of a row that has none.</summary>
    public const int None = -1;

    /// <param name="logits">The logits, [...,V].</param>
    /// <returns>The ids, [...], int64; <see cref="None"/> where the logits are not finite.</returns>
    public static Tensor Of(Tensor logits)
    {
        using var scope = NewDisposeScope();
        var best = logits.argmax(-1, keepdim: true);
        return Mark(best, logits.gather(-1, best)).squeeze(-1).MoveToOuterDisposeScope();
    }

    /// <summary>Replaces the tokens whose logits, or weights, are not finite by <see cref="None"/>.</summary>
    /// <param name="tokens">The ids, int64.</param>
    /// <param name="values">A number for each of them, in the same shape.</param>
    public static Tensor Mark(Tensor tokens, Tensor values)
    {
        using var scope = NewDisposeScope();
        // A finite number less itself is 0; infinity and NaN give NaN.
        return tokens.masked_fill((values - values).ne(0), None).MoveToOuterDisposeScope();
    }
}
