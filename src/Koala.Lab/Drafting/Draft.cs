namespace Koala.Lab.Drafting;

/// <summary>A token that is proposed for one position of the answer.</summary>
/// <param name="Token">The id of the token.</param>
/// <param name="Parent">The index of the candidate before it, or -1 for the root (the last committed token).</param>
/// <param name="Q">The head's probability of the token; null where it is not needed.</param>
/// <param name="Distribution">
/// The distribution it was drawn from, [vocabulary]; null if it was chosen and not drawn. Siblings that were drawn
/// share it: they are in the order in which they were drawn, without replacement.
/// </param>
public readonly record struct Candidate(int Token, int Parent, float? Q, float[]? Distribution);

/// <summary>The draft tree of one round. In a chain the parent of each candidate is the one before it.</summary>
/// <param name="Candidates">
/// The candidates, parents before children. If there are none, the target alone decides the next token.
/// </param>
public sealed record Draft(IReadOnlyList<Candidate> Candidates)
{
    /// <summary>A draft without candidates.</summary>
    public static Draft Empty { get; } = new([]);

    /// <summary>The number of levels under the root, which is the length of the longest path.</summary>
    public int Depth => Candidates.Count == 0 ? 0 : Depths().Max();

    /// <summary>Whether each candidate follows the one before it.</summary>
    public bool IsChain
    {
        get
        {
            for (var i = 0; i < Candidates.Count; i++)
                if (Candidates[i].Parent != i - 1) return false;
            return true;
        }
    }

    /// <summary>A chain of the tokens in their order.</summary>
    public static Draft Chain(IEnumerable<SampledToken> sampled) =>
        new(sampled.Select((choice, i) => new Candidate(choice.Token, i - 1, choice.Q, choice.Distribution)).ToArray());

    /// <summary>
    /// A draft of the first candidates only. Parents come before children, so the rest is still a tree.
    /// </summary>
    public Draft Truncate(int candidates) =>
        candidates >= Candidates.Count ? this : new Draft([.. Candidates.Take(Math.Max(candidates, 0))]);

    /// <summary>The level of each candidate: 1 for the children of the root.</summary>
    public int[] Depths()
    {
        var depths = new int[Candidates.Count];
        for (var i = 0; i < depths.Length; i++) depths[i] = Candidates[i].Parent < 0 ? 1 : depths[Candidates[i].Parent] + 1;
        return depths;
    }
}
