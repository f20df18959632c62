using Koala.Lab.Heads;

namespace Koala.Lab.Training;

/// <summary>
/// Presets by name. A preset is a <see cref="TrainingOptions"/> record, which <c>with</c> can change.
/// </summary>
public static class TrainingPresets
{
    /// <summary>The name of the default preset.</summary>
    public const string Default = "koala";

    /// <summary>The names of the presets. The default one is first.</summary>
    public static IReadOnlyList<string> Names { get; } = [Default, "eagle-3-like", "eagle-1", "medusa-1"];

    /// <summary>The training options of a preset for a kind of head and a number of steps.</summary>
    /// <remarks>
    /// For heads that predict features, koala has the options that did best in trials with 8,192 tokens per step and at
    /// least 1,200 steps. Its warm-up takes a tenth of all steps, at most 200. For other heads koala has the defaults
    /// of <see cref="TrainingOptions"/>. In koala the loss of distributions weighs ten times as much as that of
    /// features. The preset eagle-3-like has the weights of eagle-1, in which it is the other way round, with
    /// EAGLE-3's training-time test. The presets eagle-1 and medusa-1 are the recipes of those repositories, which are
    /// meant for runs of tens of thousands of steps. Options that the recipes do not set have their defaults.
    /// </remarks>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="head">The head that is trained.</param>
    /// <param name="steps">The number of optimizer steps; null means the default.</param>
    /// <exception cref="KoalaException">There is no such preset.</exception>
    public static TrainingOptions Create(string name, HeadOptions head, int? steps = null)
    {
        var standard = new TrainingOptions();
        standard = standard with { Steps = steps ?? standard.Steps };
        return name switch
        {
            "eagle-3-like" when head.PredictsFeatures => Create(Default, head, steps) with
            {
                Losses = [new("smooth-l1"), new("soft-cross-entropy", 0.1, 0.8)],
            },
            Default when head.PredictsFeatures => standard with
            {
                LearningRate = 1e-3,
                Schedule = LearningRateSchedule.HoldLinear,
                Warmup = Math.Clamp(standard.Steps / 10, 0, 200),
                Clip = 0.5,
                Losses = [new("smooth-l1", 0.1), new("soft-cross-entropy", 1, 0.8)],
                FeatureNoise = 0.05,
                TrainingTimeTest = 3,
            },
            Default or "eagle-3-like" => standard,
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
            _ => throw KoalaException.ForOption("Preset", $"'{name}' is not a preset; the presets are {string.Join(", ", Names)}",
                "use one of them"),
        };
    }
}
