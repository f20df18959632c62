using System.Globalization;
using Koala.Lab.Heads;
using Koala.Lab.Runs;

namespace Koala.Lab.Training;

/// <summary>The card of a trained head: what it is and how it came about, from the run's own figures.</summary>
internal static class HeadCard
{
    public static string Create(DraftHead head, TrainingPlan plan, IReadOnlyList<MetricsLine> metrics)
    {
        var training = plan.Training;
        var accuracy = metrics.LastOrDefault(line => line.Values.ContainsKey("validationAccuracyAtDepth1"));
        var byDepth = accuracy is null ? "not measured" : string.Join(", ", Enumerable.Range(1, head.MaxDraftLength).Select(d => $"validationAccuracyAtDepth{d}")
            .TakeWhile(accuracy.Values.ContainsKey).Select(name => accuracy.Values[name].ToString("F3", CultureInfo.InvariantCulture)));
        var losses = string.Join(", ", training.Losses.Select(l => string.Create(CultureInfo.InvariantCulture, $"{l.Weight} {l.Name} (decay {l.Decay})")));
        var adversary = training.Adversary.Weight == 0 ? "none" : string.Create(CultureInfo.InvariantCulture, $"weight {training.Adversary.Weight}, warm-up {training.Adversary.Warmup} steps");
        return string.Create(CultureInfo.InvariantCulture, $"""
            # Draft head for {head.Target.Name}: {head.Options.Kind}, K = {head.Options.Layers}

            It proposes up to {head.MaxDraftLength} tokens a round; the target checks them, so answers stay the target's own.

            | | |
            | --- | --- |
            | target | {head.Target} |
            | weights of its own | {head.ParameterCount} |
            | predicts over | {(head.Vocabulary is { } own ? $"the {own.Tokens.Count} most frequent of {own.Complete} tokens" : "all tokens")} |
            | features | {(head.FeatureLayers.Count == 0 ? "hidden states after the final norm" : $"outputs of layers {string.Join(", ", head.FeatureLayers)}, counted from 0")} |
            | training data | {Path.GetFileName(plan.Data)} |
            | steps, rows a step, tokens a row | {training.Steps}, {training.Batch}, {training.RowLength} |
            | losses | {losses} |
            | steps on its own output, feature noise | {training.TrainingTimeTest}, {training.FeatureNoise} |
            | learning rate, seed | {training.LearningRate}, {training.Seed} |
            | adversary | {adversary} |
            | held-out accuracy by depth | {byDepth} |
            | dtype of the target, device | {plan.Dtype}, {plan.Device} |

            """);
    }
}
