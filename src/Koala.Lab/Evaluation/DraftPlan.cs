using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Evaluation;

/// <summary>The draft of each round and the cost of rounds with it.</summary>
internal sealed record DraftPlan(GenerationOptions Generation, DraftTree Tree, StepCost Cost)
{
    /// <summary>The chains and trees that the draft was chosen from; none if it was given.</summary>
    public IReadOnlyList<DraftCandidate> Candidates { get; init; } = [];
}
