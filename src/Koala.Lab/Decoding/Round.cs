using System.Text.Json.Serialization;

namespace Koala.Lab.Decoding;

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

/// <summary>A token with its text and the target's probability of it (after temperature, top-k and top-p; greedy: the plain softmax).</summary>
public sealed record TracedToken(int Token, string Text, float P);

/// <summary>A candidate: the index of its parent (-1: the root), the target's probability p, the head's q, and whether it was kept.</summary>
public sealed record TracedCandidate(int Token, string Text, int Parent, float P, float Q, bool Accepted);
