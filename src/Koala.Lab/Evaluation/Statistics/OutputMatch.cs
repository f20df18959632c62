using Koala.Lab.Decoding;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Statistics;

/// <summary>
/// Compares the greedy answers of both sides; where they differ, it checks whether the target's own logits were a near-tie.
/// </summary>
/// <remarks>
/// A step over several tokens adds up in another order than a step over one token, so two logits that are equal to the last digits may
/// swap their order. Such a near-tie is distinguished from a wrong token.
/// </remarks>
internal static class OutputMatch
{
    /// <summary>Tokens whose logits are closer than this to the best are a near-tie.</summary>
    public const double Tie = 1e-4;

    public enum Kind
    {
        Equal,
        NearTie,
        Different,
    }

    public static Kind Compare(Target target, Generation baseline, Generation speculative)
    {
        var (a, b) = (baseline.Tokens, speculative.Tokens);
        var same = a.Zip(b).TakeWhile(pair => pair.First == pair.Second).Count();
        if (same == a.Count && same == b.Count) return Kind.Equal;
        if (same == a.Count || same == b.Count) return Kind.Different;

        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var cache = target.NewCache(1, baseline.PromptTokens.Count + same);
        var hidden = target.Append(cache, [.. baseline.PromptTokens, .. a.Take(same)]);
        var logits = target.Logits(hidden[-1]).to(ScalarType.Float32);
        var least = logits.max() - Tie;
        return (logits[a[same]] > least).item<bool>() && (logits[b[same]] > least).item<bool>() ? Kind.NearTie : Kind.Different;
    }
}
