using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.Cost;

namespace Koala.Lab.Evaluation;

/// <summary>What is drafted, and what rounds with it cost.</summary>
internal sealed record DraftPlan(GenerationOptions Generation, DraftTree Tree, StepCost Cost);
