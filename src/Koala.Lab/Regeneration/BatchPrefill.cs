using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Regeneration;

/// <summary>Reads the prompts of answers that start together as one group, padded to the longest prompt.</summary>
internal static class BatchPrefill
{
    // The largest number of tokens of a group, padding included. The memory that a step needs grows with it.
    private const int MaxTokens = 8192;

    /// <summary>The number of prompts, from the first one on, that are read together.</summary>
    public static int Group(IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        var (count, longest) = (0, 0);
        while (count < prompts.Count)
        {
            longest = Math.Max(longest, Target.ChunkLength(prompts[count].Count));
            if (count > 0 && (count + 1) * longest > MaxTokens) break;
            count++;
        }
        return count;
    }

    /// <summary>Reads the prompts into sequences of the cache. This replaces what the sequences held.</summary>
    /// <param name="target">The target.</param>
    /// <param name="prompts">The token ids of each prompt.</param>
    /// <param name="cache">The cache of the batch.</param>
    /// <param name="sequences">The sequence of the cache for each prompt.</param>
    /// <returns>The hidden state at each prompt's last token, [prompts,D].</returns>
    public static Tensor Run(Target target, IReadOnlyList<IReadOnlyList<int>> prompts, KeyValueCache cache, IReadOnlyList<int> sequences)
    {
        using var scope = NewDisposeScope();
        using var groupCache = target.NewCache(prompts.Count, prompts.Max(prompt => prompt.Count));
        var last = target.PrefillLast(groupCache, prompts);
        cache.CopyFrom(groupCache, [.. Enumerable.Range(0, prompts.Count)], sequences);
        return last.MoveToOuterDisposeScope();
    }
}
