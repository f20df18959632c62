namespace Koala.Lab.Heads;

/// <summary>A token proposed for one place of the answer.</summary>
/// <param name="Token">Its id.</param>
/// <param name="Parent">Index of the candidate before it, -1 for the root (the last committed token).</param>
/// <param name="Q">The head's probability of it; null where nobody asked.</param>
/// <param name="Distribution">The distribution it was drawn from, [vocabulary]; null when it was chosen and not drawn.</param>
public readonly record struct Candidate(int Token, int Parent, float? Q, float[]? Distribution);

/// <summary>The candidates of one round, parents before children. A chain: each one's parent is the one before.</summary>
/// <param name="Candidates">May be empty: then the target alone decides the next token.</param>
public sealed record Draft(IReadOnlyList<Candidate> Candidates)
{
    /// <summary>No candidates.</summary>
    public static Draft Empty { get; } = new([]);

    /// <summary>A chain of choices, first to last.</summary>
    public static Draft Chain(IEnumerable<Choice> choices) =>
        new(choices.Select((choice, i) => new Candidate(choice.Token, i - 1, choice.Q, choice.Distribution)).ToArray());
}
