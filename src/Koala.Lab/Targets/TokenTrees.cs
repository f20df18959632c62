namespace Koala.Lab.Targets;

/// <summary>Trees of tokens that a step appends, one to each sequence of a batch.</summary>
/// <param name="Tokens">The tokens of each sequence; sequences may differ in how many they get.</param>
/// <param name="Parents">
/// For each token the index of the token before it among those of its sequence, or -1 where that is the last one that the cache holds.
/// Parents come before their children.
/// </param>
public readonly record struct TokenTrees(IReadOnlyList<int[]> Tokens, IReadOnlyList<int[]> Parents)
{
    /// <summary>Whether every token follows the one before it: a causal mask is then all that a step needs.</summary>
    public bool IsChain
    {
        get
        {
            foreach (var tree in Parents)
                for (var i = 0; i < tree.Length; i++)
                    if (tree[i] != i - 1) return false;
            return true;
        }
    }

    /// <summary>Tokens that follow one another in each sequence.</summary>
    public static TokenTrees Chains(IReadOnlyList<int[]> tokens) =>
        new(tokens, [.. tokens.Select(chain => Enumerable.Range(-1, chain.Length).ToArray())]);
}
