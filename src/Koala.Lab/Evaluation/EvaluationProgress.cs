namespace Koala.Lab.Evaluation;

/// <summary>Prompts done of all.</summary>
public readonly record struct EvaluationProgress(int Done, int Total);
