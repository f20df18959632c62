using System.Text.Json.Serialization;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;

namespace Koala.Lab.Decoding.Trace;

/// <summary>One step of speculative decoding: draft, verify, commit. Times in milliseconds; they add up to the round.</summary>
/// <param name="Drafted">Candidates proposed.</param>
/// <param name="Accepted">Candidates that verification kept, before the answer's end cut the round.</param>
/// <param name="DraftMs">All work of the head, catching up included.</param>
/// <param name="VerifyMs">The target's step, up to knowing its choice at every candidate.</param>
/// <param name="BookkeepingMs">The rest.</param>
public sealed record Round(int Drafted, int Accepted, double DraftMs, double VerifyMs, double BookkeepingMs)
{
    /// <summary>Candidates proposed one after another: the levels of the tree. Of a chain, all of them.</summary>
    public int Depth { get; init; } = Drafted;

    /// <summary>Of a tree, the levels that verification went through, the root's children first: how many children there were, and which was kept. Null for a chain.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<LevelAcceptance>? Levels { get; init; }

    /// <summary>Tokens committed: accepted plus the bonus token.</summary>
    [JsonIgnore]
    public int Committed => Accepted + 1;

    /// <summary>The target's own token that ends the round. Full trace only.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TracedToken? Bonus { get; init; }

    /// <summary>What was proposed. Full trace only.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TracedCandidate>? Candidates { get; init; }
}

/// <summary>The children of one node of a draft tree, and which of them was kept.</summary>
/// <param name="Children">How many, in the order of their ranks.</param>
/// <param name="Kept">The rank of the one that was kept; null where none was.</param>
public readonly record struct LevelAcceptance(int Children, int? Kept)
{
    /// <summary>The levels that a verdict went through; null where the draft is a chain.</summary>
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

/// <summary>A token with its text and the target's probability of it (after temperature, top-k and top-p; greedy: the plain softmax).</summary>
public sealed record TracedToken(int Token, string Text, float P);

/// <summary>A candidate: the index of its parent (-1: the root), the target's probability p, the head's q, and whether it was kept.</summary>
public sealed record TracedCandidate(int Token, string Text, int Parent, float P, float Q, bool Accepted);
