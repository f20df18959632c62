using System.Globalization;
using Koala.Lab.Training;

namespace Koala.Cli.Output;

/// <summary>What a training run is about to do, in a few lines. All its options are in the run's record.</summary>
internal static class TrainingSummary
{
    /// <param name="plan">The plan.</param>
    /// <param name="run">The run's folder as the user would type it.</param>
    public static string Render(TrainingPlan plan, string run)
    {
        var training = plan.Training;
        var controls = plan.WithControls.Count > 0 ? $", controls {string.Join(", ", plan.WithControls)}" : "";
        var adversary = training.Adversary.Weight == 0
            ? "none"
            : string.Create(CultureInfo.InvariantCulture, $"weight {training.Adversary.Weight}{controls}");
        return string.Create(CultureInfo.InvariantCulture, $"""
            model      {plan.TargetIdentity.Name}, {plan.Dtype} on {plan.Device}
            head       {plan.Head.Kind}, K = {plan.Head.Layers}
            data       {Path.GetFileName(plan.Data)}
            adversary  {adversary}
            steps      {training.Steps} of {training.Batch} rows with {training.RowLength} tokens, learning rate {training.LearningRate}
            run        {run} (all options: run.json)
            """);
    }
}
