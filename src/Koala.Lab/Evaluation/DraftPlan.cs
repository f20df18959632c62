using Koala.Lab.Decoding;
using Koala.Lab.Heads.Trees;

namespace Koala.Lab.Evaluation;

/// <summary>What is drafted, and what rounds with it cost.</summary>
internal sealed record DraftPlan(GenerationOptions Generation, DraftShape Shape, StepCost Cost);
