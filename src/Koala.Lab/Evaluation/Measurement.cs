using Koala.Lab.Evaluation.Statistics;

namespace Koala.Lab.Evaluation;

/// <summary>What both sides made of one batch of prompts.</summary>
/// <param name="Category">The prompts' category.</param>
/// <param name="Baseline">The target alone.</param>
/// <param name="Speculative">The target with the drafter.</param>
/// <param name="OutputMatch">For each answer, whether both sides gave the same; empty when sampling.</param>
internal sealed record Measurement(string Category, TimedAnswers Baseline, TimedAnswers Speculative, IReadOnlyList<OutputMatch.Kind> OutputMatch);
