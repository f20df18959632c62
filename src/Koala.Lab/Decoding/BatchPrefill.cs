using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

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
            longest = Math.Max(longest, Math.Min(prompts[count].Count, Target.PromptPiece));
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
        var longest = prompts.Max(p => p.Count);
        using var own = target.NewCache(prompts.Count, longest);
        var last = zeros(prompts.Count, target.Config.HiddenSize, target.Dtype, target.Device);
        for (var start = 0; start < longest; start += Target.PromptPiece)
        {
            using var piece = NewDisposeScope();
            int[][] tokens = [.. prompts.Select(p => p.Skip(start).Take(Target.PromptPiece).ToArray())];
            var hidden = target.Append(own, tokens);                                                      // [prompts, T, D]
            int[] ending = [.. Enumerable.Range(0, prompts.Count).Where(i => prompts[i].Count > start && prompts[i].Count <= start + Target.PromptPiece)];
            if (ending.Length == 0) continue;
            var at = tensor(ending.Select(i => i * hidden.shape[1] + tokens[i].Length - 1).ToArray(), device: target.Device);
            last.index_copy_(0, tensor(ending.Select(i => (long)i).ToArray(), device: target.Device), hidden.flatten(0, 1).index_select(0, at));
        }
        cache.Adopt(own, [.. Enumerable.Range(0, prompts.Count)], sequences);
        return last.MoveToOuterDisposeScope();
    }
}
