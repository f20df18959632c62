using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Regeneration;

/// <summary>Reads prompts that begin together, in one go, padded to the longest of them.</summary>
internal static class BatchPrefill
{
    // Tokens of a group, padding counted: what a step keeps in memory grows with them.
    private const int MostTokens = 8192;

    /// <summary>How many of the prompts, in their order, are read together.</summary>
    public static int Group(IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        var (count, longest) = (0, 0);
        while (count < prompts.Count)
        {
            longest = Math.Max(longest, Target.ChunkLength(prompts[count].Count));
            if (count > 0 && (count + 1) * longest > MostTokens) break;
            count++;
        }
        return count;
    }

    /// <summary>Puts the prompts into sequences of the cache, in place of what these held.</summary>
    /// <param name="target">The target.</param>
    /// <param name="prompts">Token ids.</param>
    /// <param name="cache">The batch's.</param>
    /// <param name="sequences">Where each prompt goes.</param>
    /// <returns>The hidden state after each prompt's last token, [prompts, D].</returns>
    public static Tensor Run(Target target, IReadOnlyList<IReadOnlyList<int>> prompts, KeyValueCache cache, IReadOnlyList<int> sequences)
    {
        using var scope = NewDisposeScope();
        using var own = target.NewCache(prompts.Count, prompts.Max(prompt => prompt.Count));
        var last = target.PrefillLast(own, prompts);
        cache.CopyFrom(own, [.. Enumerable.Range(0, prompts.Count)], sequences);
        return last.MoveToOuterDisposeScope();
    }
}
