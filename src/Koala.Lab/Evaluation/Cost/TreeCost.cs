using System.Text.Json.Serialization;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Evaluation.Cost;

/// <summary>What a round costs with one shape of draft. Median milliseconds.</summary>
/// <param name="Tree">The shape.</param>
/// <param name="Nodes">Candidates that it drafted.</param>
/// <param name="DraftMs">All work of the drafter, catching up included.</param>
/// <param name="VerifyMs">The target's step over the root and the candidates, up to knowing its choice at each.</param>
/// <param name="BookkeepingMs">The rest.</param>
public sealed record TreeCost([property: JsonIgnore] DraftTree Tree, int Nodes, double DraftMs, double VerifyMs, double BookkeepingMs)
{
    /// <summary>The whole round.</summary>
    public double RoundMs => DraftMs + VerifyMs + BookkeepingMs;
}
