namespace Koala.Lab.Drafting;

/// <summary>A token proposed for one place of the answer.</summary>
/// <param name="Token">Its id.</param>
/// <param name="Parent">Index of the candidate before it, -1 for the root (the last committed token).</param>
/// <param name="Q">The head's probability of it; null where nobody asked.</param>
/// <param name="Distribution">The distribution it was drawn from, [vocabulary]; null when it was chosen and not drawn. Siblings that were drawn share it: they come in drawing order, without replacement.</param>
public readonly record struct Candidate(int Token, int Parent, float? Q, float[]? Distribution);

/// <summary>The draft tree of one round: candidates, parents before children. A chain: each one's parent is the one before.</summary>
/// <param name="Candidates">May be empty: then the target alone decides the next token.</param>
public sealed record Draft(IReadOnlyList<Candidate> Candidates)
{
    /// <summary>No candidates.</summary>
    public static Draft Empty { get; } = new([]);

    /// <summary>Levels under the root: the longest path.</summary>
    public int Depth => Candidates.Count == 0 ? 0 : Depths().Max();

    /// <summary>Whether each candidate follows the one before.</summary>
    public bool IsChain
    {
        get
        {
            for (var i = 0; i < Candidates.Count; i++)
                if (Candidates[i].Parent != i - 1) return false;
            return true;
        }
    }

    /// <summary>A chain of choices, first to last.</summary>
    public static Draft Chain(IEnumerable<SampledToken> sampled) =>
        new(sampled.Select((sampled, i) => new Candidate(sampled.Token, i - 1, sampled.Q, sampled.Distribution)).ToArray());

    /// <summary>The first candidates only. Parents come before children, so what is left is a tree.</summary>
    public Draft Cut(int candidates) => candidates >= Candidates.Count ? this : new Draft([.. Candidates.Take(Math.Max(candidates, 0))]);

    /// <summary>The level of each candidate: 1 for the children of the root.</summary>
    public int[] Depths()
    {
        var depths = new int[Candidates.Count];
        for (var i = 0; i < depths.Length; i++) depths[i] = Candidates[i].Parent < 0 ? 1 : depths[Candidates[i].Parent] + 1;
        return depths;
    }
}
