using Koala.Lab.Evaluation.Statistics;

namespace Koala.Lab.Evaluation;

/// <summary>The answers of both sides to one group of prompts.</summary>
/// <param name="Category">The prompts' category.</param>
/// <param name="Prompts">The prompts' ids.</param>
/// <param name="Turn">The number of the turn, from 1.</param>
/// <param name="Baseline">The answers of the target without a drafter.</param>
/// <param name="Speculative">The answers of the target with the drafter.</param>
/// <param name="OutputMatch">For each answer, whether both sides gave the same tokens; empty when sampling.</param>
internal sealed record Measurement(
    string Category, IReadOnlyList<string> Prompts, int Turn, TimedAnswers Baseline, TimedAnswers Speculative,
    IReadOnlyList<OutputMatch.Kind> OutputMatch);
