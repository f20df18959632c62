using Koala.Lab.Evaluation;

namespace Koala.Lab.Charts;

/// <summary>A head's evaluation with its number of layers, which a report does not hold.</summary>
/// <param name="K">The number of layers of the head, from 1.</param>
/// <param name="Report">The evaluation.</param>
/// <param name="Series">The name of the line to which the point belongs, such as <c>with the adversary</c>.</param>
public sealed record LayerSweepPoint(int K, EvaluationReport Report, string Series = "with the head");
