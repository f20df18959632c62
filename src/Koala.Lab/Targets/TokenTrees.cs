namespace Koala.Lab.Targets;

/// <summary>The trees of tokens that a step appends, one to each sequence of a batch.</summary>
/// <param name="Tokens">The tokens of each sequence; sequences may differ in their number.</param>
/// <param name="Parents">
/// The index of each token's parent among the tokens of its sequence, or -1 where the parent is the last token that the
/// cache holds. Parents come before their children.
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

    /// <summary>Makes trees in which the tokens of each sequence follow one another.</summary>
    /// <exception cref="ArgumentNullException">The list or one of its sequences is null.</exception>
    public static TokenTrees Chains(IReadOnlyList<int[]> tokens)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        foreach (var chain in tokens) ArgumentNullException.ThrowIfNull(chain, nameof(tokens));
        return new TokenTrees(tokens, [.. tokens.Select(chain => Enumerable.Range(-1, chain.Length).ToArray())]);
    }
}
