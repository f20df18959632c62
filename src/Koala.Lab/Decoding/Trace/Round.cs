using System.Text.Json.Serialization;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;

namespace Koala.Lab.Decoding.Trace;

/// <summary>
/// One round of speculative decoding: draft, verify, accept, commit. The times are in milliseconds and add up to the
/// time of the round.
/// </summary>
/// <param name="Drafted">The number of candidates.</param>
/// <param name="Accepted">
/// The number of accepted candidates, counted before the end of the answer cuts the round.
/// </param>
/// <param name="DraftMs">
/// The time of all work of the head, which includes extending it with the committed tokens.
/// </param>
/// <param name="VerifyMs">
/// The time of the target's step, until its choice at every candidate is known on the host.
/// </param>
/// <param name="BookkeepingMs">The rest of the time.</param>
public sealed record Round(int Drafted, int Accepted, double DraftMs, double VerifyMs, double BookkeepingMs)
{
    /// <summary>The number of levels of the draft tree. For a chain this is the number of candidates.</summary>
    public int Depth { get; init; } = Drafted;

    /// <summary>
    /// The levels of the tree that verification went through, the root's children first: how many children there were,
    /// and which of them was accepted. Null for a chain.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<LevelAcceptance>? Levels { get; init; }

    /// <summary>The number of committed tokens: the accepted candidates and the bonus token.</summary>
    [JsonIgnore]
    public int Committed => Accepted + 1;

    /// <summary>The target's own token that ends the round. Only a full trace has it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TracedToken? Bonus { get; init; }

    /// <summary>The candidates. Only a full trace has them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TracedCandidate>? Candidates { get; init; }
}

/// <summary>The children of one node of a draft tree, and which of them was accepted.</summary>
/// <param name="Children">The number of children.</param>
/// <param name="Kept">The rank of the accepted child; null if none was accepted.</param>
public readonly record struct LevelAcceptance(int Children, int? Kept)
{
    /// <summary>The levels that verification went through; null if the draft is a chain.</summary>
    internal static IReadOnlyList<LevelAcceptance>? Create(Draft draft, AcceptedPath accepted)
    {
        if (draft.IsChain) return null;
        var levels = new List<LevelAcceptance>();
        for (var depth = 0; depth <= accepted.Accepted; depth++)
        {
            var node = depth == 0 ? -1 : accepted.Path[depth - 1];
            var (children, kept) = (0, (int?)null);
            for (var i = node + 1; i < draft.Candidates.Count; i++)
            {
                if (draft.Candidates[i].Parent != node) continue;
                if (depth < accepted.Accepted && accepted.Path[depth] == i) kept = children;
                children++;
            }
            if (children > 0) levels.Add(new LevelAcceptance(children, kept));
        }
        return levels;
    }
}

/// <summary>
/// A token with its text and the target's probability of it. The probability is the one after temperature, top-k and
/// top-p; in greedy decoding it is the plain softmax.
/// </summary>
public sealed record TracedToken(int Token, string Text, float P);

/// <summary>
/// A candidate with the index of its parent (-1 for the root), the target's probability p, the head's q, and whether it
/// was accepted.
/// </summary>
public sealed record TracedCandidate(int Token, string Text, int Parent, float P, float Q, bool Accepted);
