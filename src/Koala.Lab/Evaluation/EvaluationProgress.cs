namespace Koala.Lab.Evaluation;

/// <summary>The number of prompts that are done, and the number of all prompts.</summary>
public readonly record struct EvaluationProgress(int Done, int Total);
