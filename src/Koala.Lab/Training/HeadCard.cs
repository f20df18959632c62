using System.Globalization;
using System.Text.Json;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Training;

/// <summary>The card of a trained head. It says what the head is and how it was trained.</summary>
internal static class HeadCard
{
    public static string Create(DraftHead head, TrainingPlan plan, IReadOnlyList<MetricsLine> metrics)
    {
        var training = plan.Training;
        return string.Create(CultureInfo.InvariantCulture, $"""
            # Draft head for {head.Target.Name}: {head.Options.Kind}, K = {head.Options.Layers}

            The head proposes up to {head.MaxDraftLength} tokens per round. The target verifies them, so answers are the target's own.

            | | |
            | --- | --- |
            | target | {head.Target} |
            | weights of its own | {head.ParameterCount} |
            | predicts over | {Vocabulary(head)} |
            | features | {Features(head)} |
            | training data | {Path.GetFileName(plan.Data)} |
            | steps, rows per step, tokens per row | {training.Steps}, {training.Batch}, {training.RowLength} |
            | losses | {Losses(training)} |
            | steps on its own output, feature noise | {training.TrainingTimeTest}, {training.FeatureNoise} |
            | learning rate, seed | {training.LearningRate}, {training.Seed} |
            | adversary | {Adversary(training)} |
            | held-out accuracy by depth | {AccuracyByDepth(head, metrics)} |
            | dtype of the target, device | {plan.Dtype}, {plan.Device} |

            """);
    }

    private static string Vocabulary(DraftHead head) =>
        head.Vocabulary is { } vocabulary
            ? $"the {vocabulary.Tokens.Count} most frequent of {vocabulary.TargetVocabularySize} tokens"
            : "all tokens";

    private static string Features(DraftHead head) =>
        head.FeatureLayers.Count == 0
            ? "hidden states after the final norm"
            : $"outputs of layers {string.Join(", ", head.FeatureLayers)}, counted from 0";

    private static string Losses(TrainingOptions training)
    {
        var losses = training.Losses.Select(loss =>
            string.Create(CultureInfo.InvariantCulture, $"{loss.Weight} {loss.Name} (decay {loss.Decay})"));
        return string.Join(", ", losses);
    }

    private static string Adversary(TrainingOptions training)
    {
        var adversary = training.Adversary;
        return adversary.Weight == 0
            ? "none"
            : string.Create(CultureInfo.InvariantCulture, 
                $"weight {adversary.Weight}, warm-up {adversary.Warmup} steps, "
                + $"{Name(adversary.Loss)} losses, judges {Name(adversary.Judges)}");
    }

    // The name of an enum's member in JSON.
    private static string Name<T>(T member) where T : struct, Enum =>
        JsonSerializer.SerializeToElement(member, JsonFormat.Line).GetString()!;

    // The latest accuracies that the run has measured.
    private static string AccuracyByDepth(DraftHead head, IReadOnlyList<MetricsLine> metrics)
    {
        if (metrics.LastOrDefault(line => line.Values.ContainsKey("validationAccuracyAtDepth1")) is not { } line) return "not measured";
        var names = Enumerable.Range(1, head.MaxDraftLength).Select(depth => $"validationAccuracyAtDepth{depth}");
        var accuracies = names.TakeWhile(line.Values.ContainsKey).Select(name => line.Values[name]);
        return string.Join(", ", accuracies.Select(accuracy =>
            double.IsNaN(accuracy) ? "not measured" : accuracy.ToString("F3", CultureInfo.InvariantCulture)));
    }
}
