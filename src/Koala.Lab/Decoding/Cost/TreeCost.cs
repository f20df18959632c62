using System.Text.Json.Serialization;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Decoding.Cost;

/// <summary>What a round with one draft tree costs, in median milliseconds.</summary>
/// <param name="Tree">The draft tree.</param>
/// <param name="Nodes">The number of candidates that were drafted.</param>
/// <param name="DraftMs">All work of the drafter, <c>Extend</c> included.</param>
/// <param name="VerifyMs">The target's step over the root and the candidates, until its choice at each of them is on the host.</param>
/// <param name="BookkeepingMs">The rest of the round.</param>
public sealed record TreeCost([property: JsonIgnore] DraftTree Tree, int Nodes, double DraftMs, double VerifyMs, double BookkeepingMs)
{
    /// <summary>The milliseconds of the whole round.</summary>
    public double RoundMs => DraftMs + VerifyMs + BookkeepingMs;
}
