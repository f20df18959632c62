using Koala.Lab.Heads;

namespace Koala.Lab.Training;

/// <summary>Recipes by name. They are training options like others, to be changed with <c>with</c>.</summary>
public static class TrainingPresets
{
    /// <summary>What is taken where no preset is named.</summary>
    public const string Standard = "koala";

    /// <summary>The names, the standard one first.</summary>
    public static IReadOnlyList<string> Names { get; } = [Standard, "eagle-1", "medusa-1"];

    /// <summary>A recipe for a kind of head and a number of steps.</summary>
    /// <remarks>
    /// koala: for heads that predict features, what did best in trials at 8,192 tokens a step and at least 1,500 steps; its warm-up of 200 steps is a tenth of
    /// shorter runs. For others the defaults of <see cref="TrainingOptions"/>. eagle-1 and medusa-1 are those repositories' recipes, meant for runs
    /// of tens of thousands of steps; what they do not say is as in the defaults.
    /// </remarks>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="head">What is trained.</param>
    /// <param name="steps">Optimizer steps; null: the default.</param>
    /// <exception cref="KoalaException">There is no such preset.</exception>
    public static TrainingOptions Create(string name, HeadOptions head, int? steps = null)
    {
        var standard = new TrainingOptions();
        standard = standard with { Steps = steps ?? standard.Steps };
        return name switch
        {
            Standard when head.PredictsFeatures => standard with
            {
                LearningRate = 1e-3,
                Schedule = LearningRateSchedule.HoldLinear,
                Warmup = Math.Clamp(standard.Steps / 10, 0, 200),
                Clip = 0.5,
                Losses = [new("smooth-l1"), new("soft-cross-entropy", 0.1, 0.8)],
                FeatureNoise = 0.05,
                TrainingTimeTest = 3,
            },
            Standard => standard,
            "eagle-1" => standard with
            {
                LearningRate = 3e-5,
                Schedule = LearningRateSchedule.Linear,
                Warmup = 2000,
                Clip = 0.5,
                ClipBy = ClipBy.Value,
                Losses = [new("smooth-l1"), new("soft-cross-entropy", 0.1)],
                FeatureNoise = 0.1,
            },
            "medusa-1" => standard with
            {
                LearningRate = 1e-3,
                Warmup = standard.Steps / 10,
                Losses = [new("cross-entropy", 1, 0.8)],
            },
            _ => throw KoalaException.ForOption("Preset", $"'{name}' is no preset; they are {string.Join(", ", Names)}",
                "take one of them"),
        };
    }
}
