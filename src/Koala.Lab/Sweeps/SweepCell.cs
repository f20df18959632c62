using System.Text.Json.Nodes;
using Koala.Lab.Evaluation;
using Koala.Lab.Training;

namespace Koala.Lab.Sweeps;

/// <summary>A training of a sweep and the evaluations of its head. Its folder is an ordinary run.</summary>
/// <param name="Name">The name of its folder, from the values that vary: <c>layers-2_seed-0</c>.</param>
/// <param name="Options">The options of training that the plan sets for it, by name.</param>
/// <param name="Request">The training.</param>
/// <param name="Evaluations">The evaluations; empty if the plan has none.</param>
public sealed record SweepCell(
    string Name, IReadOnlyDictionary<string, JsonNode?> Options, TrainingRequest Request, IReadOnlyList<SweepEvaluation> Evaluations);

/// <summary>An evaluation of a cell.</summary>
/// <param name="Name">The name of its report, from the file of prompts and the values that vary: <c>mt-bench_draftLength-4</c>.</param>
/// <param name="Settings">The options that the plan sets for it, by name.</param>
/// <param name="Prompts">The file of prompts.</param>
/// <param name="Limit">How many of the prompts are used; null means all.</param>
/// <param name="Categories">The categories of prompts that are used; empty means all.</param>
/// <param name="Options">How they are answered.</param>
public sealed record SweepEvaluation(
    string Name, IReadOnlyDictionary<string, JsonNode?> Settings, string Prompts, int? Limit, IReadOnlyList<string> Categories,
    EvaluationOptions Options);
