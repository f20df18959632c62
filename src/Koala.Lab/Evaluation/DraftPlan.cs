using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Evaluation;

/// <summary>The draft of each round and the cost of rounds with it.</summary>
internal sealed record DraftPlan(GenerationOptions Generation, DraftTree Tree, StepCost Cost);
