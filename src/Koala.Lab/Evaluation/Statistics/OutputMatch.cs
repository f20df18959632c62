using Koala.Lab.Decoding;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Statistics;

/// <summary>
/// Compares the greedy answers of both sides; on a GPU, where they differ, it checks whether the target's own logits were a near-tie.
/// </summary>
/// <remarks>
/// A GPU adds up a step over several tokens in another order than a step over one token, so two logits that are equal to the last digits
/// may swap their order. Such a near-tie is distinguished from a wrong token. On a CPU both steps compute the same numbers.
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

    /// <summary>Whether steps of other sizes may differ in the last bits of a logit.</summary>
    public static bool HasNearTies(Target target) => target.Model.Cpu is null;

    /// <summary>Compares two answers of a target to the same prompt.</summary>
    public static Kind Compare(Target target, Generation baseline, Generation speculative) =>
        Compare(target, baseline, speculative, HasNearTies(target));

    /// <summary>Compares two answers.</summary>
    /// <param name="target">The target.</param>
    /// <param name="baseline">The target's answer without a head.</param>
    /// <param name="speculative">The answer to the same prompt with a head.</param>
    /// <param name="nearTies">Whether a difference may be a near-tie.</param>
    public static Kind Compare(Target target, Generation baseline, Generation speculative, bool nearTies)
    {
        var (a, b) = (baseline.Tokens, speculative.Tokens);
        var same = a.Zip(b).TakeWhile(pair => pair.First == pair.Second).Count();
        if (same == a.Count && same == b.Count) return Kind.Equal;
        if (same == a.Count || same == b.Count || !nearTies) return Kind.Different;

        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var cache = target.NewCache(1, baseline.PromptTokens.Count + same);
        var hidden = target.Append(cache, [.. baseline.PromptTokens, .. a.Take(same)]);
        var logits = target.Logits(hidden[-1]).to(ScalarType.Float32);
        var least = logits.max() - Tie;
        return (logits[a[same]] > least).item<bool>() && (logits[b[same]] > least).item<bool>() ? Kind.NearTie : Kind.Different;
    }
}
