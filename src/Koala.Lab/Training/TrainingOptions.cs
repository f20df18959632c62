using Koala.Lab.Adversary;
using Koala.Lab.Heads;

namespace Koala.Lab.Training;

/// <summary>How a head is trained.</summary>
public sealed record TrainingOptions
{
    // AdamW changes a weight by about the learning rate. With a higher learning rate the weights would overflow at
    // once.
    private const double HighestLearningRate = 1e30;

    /// <summary>The number of optimizer steps. Default 600.</summary>
    public int Steps { get; init; } = 600;

    /// <summary>
    /// The number of packed rows per step. Default 2, since more but smaller steps learned more in the same time.
    /// </summary>
    public int Batch { get; init; } = 2;

    /// <summary>
    /// The number of tokens per row. Null (the default) means a number that nine of ten conversations fit into, if the
    /// target's context and the memory allow it; the plan of a run holds the number that was chosen.
    /// </summary>
    public int? RowLength { get; init; }

    /// <summary>
    /// The losses that are minimised, apart from the adversarial loss. Default: cross-entropy against the target's
    /// distribution, where each depth has 0.8 times the weight of the depth before it (Medusa's paper).
    /// </summary>
    public IReadOnlyList<LossTerm> Losses { get; init; } = [new("soft-cross-entropy", 1, 0.8)];

    /// <summary>
    /// The additional weight in every loss of positions where a chain of the head's best tokens makes its first error: the
    /// token there ends the draft. 0 or above; default 0, which weighs all positions of a depth alike.
    /// </summary>
    /// <remarks>The idea is that of arXiv 2606.11552; the form, a weighted mean, is Koala's own.</remarks>
    public double FirstErrorFocus { get; init; }

    /// <summary>
    /// The weight of the loss of a head's confidence output, above 0. Default 1. Heads without one ignore it. It changes nothing in the
    /// rest of the head: the gradient ends before it, and is clipped by itself.
    /// </summary>
    public double ConfidenceWeight { get; init; } = 1;

    /// <summary>
    /// The number of steps of training-time test for a head that reads its own output. 1 to 8, default 1. Other heads
    /// ignore it.
    /// </summary>
    public int TrainingTimeTest { get; init; } = 1;

    /// <summary>
    /// The amplitude of the uniform noise that is added to the features that the head gets. Default 0.
    /// </summary>
    public double FeatureNoise { get; init; }

    /// <summary>
    /// The peak learning rate. Default 3e-3, the best over a few hundred steps for heads that share the LM head.
    /// </summary>
    public double LearningRate { get; init; } = 3e-3;

    /// <summary>How the learning rate falls after warm-up. Default: along a cosine.</summary>
    public LearningRateSchedule Schedule { get; init; }

    /// <summary>The number of steps over which the learning rate grows to its peak. Default 20.</summary>
    public int Warmup { get; init; } = 20;

    /// <summary>AdamW's first decay rate. Default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's second decay rate. Default 0.95.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>AdamW's decoupled weight decay. Default 0.</summary>
    public double WeightDecay { get; init; }

    /// <summary>The limit of gradient clipping. Default 1.</summary>
    public double Clip { get; init; } = 1;

    /// <summary>Whether the limit applies to the norm of all gradients (default) or to each gradient.</summary>
    public ClipBy ClipBy { get; init; }

    /// <summary>The options of the adversary. By default there is no adversary.</summary>
    public AdversaryOptions Adversary { get; init; } = new();

    /// <summary>The seed of the data order and of random initial weights. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>
    /// The number of steps between validations. Default 100. Validation always runs after the last step.
    /// </summary>
    public int ValidateEvery { get; init; } = 100;

    /// <summary>
    /// The number of held-out answers that the head drafts in each validation: its acceptance length when it runs free on
    /// its own tokens, beside the one that held-out rows predict. Default 16; 0 leaves this measurement out.
    /// </summary>
    public int ValidationAnswers { get; init; } = 16;

    /// <summary>
    /// The number of steps between saved training states. Default 200. The state is always saved after the last step.
    /// </summary>
    public int SaveEvery { get; init; } = 200;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        AtLeastOne(nameof(Steps), Steps);
        AtLeastOne(nameof(Batch), Batch);
        AtLeastOne(nameof(ValidateEvery), ValidateEvery);
        AtLeastOne(nameof(SaveEvery), SaveEvery);
        if (RowLength < 8)
            throw KoalaException.ForOption(nameof(RowLength), $"is {RowLength}, but a row has at least 8 tokens",
                "set it to 256, or leave it out");
        if (Warmup < 0) throw KoalaException.ForOption(nameof(Warmup), $"is {Warmup} steps, but it must be 0 or above", "leave it out");
        if (Losses.Count == 0)
            throw KoalaException.ForOption(nameof(Losses), "has no loss, but training minimises at least one", "leave it out");
        foreach (var term in Losses) term.Validate();
        if (Losses.GroupBy(term => term.Name).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw KoalaException.ForOption(nameof(Losses), $"{twice.Key} is given twice", "give it once, with the weights added");
        if (!(FirstErrorFocus >= 0) || double.IsInfinity(FirstErrorFocus))
            throw KoalaException.ForOption(nameof(FirstErrorFocus), $"is {FirstErrorFocus}, but it must be 0 or above",
                "leave it out, or set it to 1");
        if (ValidationAnswers < 0)
            throw KoalaException.ForOption(nameof(ValidationAnswers), $"is {ValidationAnswers}, but it must be 0 or above",
                "leave it out, or set it to 0 to measure none");
        if (TrainingTimeTest is < 1 or > 8)
            throw KoalaException.ForOption(nameof(TrainingTimeTest), $"is {TrainingTimeTest} steps, but it must be 1 to 8", "set it to 3");
        if (!(FeatureNoise >= 0) || double.IsInfinity(FeatureNoise))
            throw KoalaException.ForOption(nameof(FeatureNoise), $"is {FeatureNoise}, but it must be 0 or above",
                "leave it out, or set it to 0.05");
        Positive(nameof(ConfidenceWeight), ConfidenceWeight);
        DecayRate(nameof(Beta1), Beta1);
        DecayRate(nameof(Beta2), Beta2);
        Positive(nameof(LearningRate), LearningRate);
        if (LearningRate > HighestLearningRate)
            throw KoalaException.ForOption(nameof(LearningRate), $"is {LearningRate}, but a step of that size leaves the range of fp32",
                "set it to about 0.003");
        Positive(nameof(Clip), Clip);
        if (!(WeightDecay >= 0) || double.IsInfinity(WeightDecay))
            throw KoalaException.ForOption(nameof(WeightDecay), $"is {WeightDecay}, but it must be 0 or above", "leave it out");
        Adversary.Validate();
    }

    /// <summary>Checks that a head can be trained with these options.</summary>
    /// <exception cref="KoalaException">A loss compares features, or the adversary judges some, but the head predicts none.</exception>
    public void CheckFor(HeadOptions head)
    {
        Adversary.CheckFor(head);
        if (!head.PredictsFeatures && Losses.FirstOrDefault(term => LossRegistry.Find(term.Name).OfFeatures) is { } loss)
            throw KoalaException.ForOption(nameof(Losses), $"{loss.Name} compares features, but a {head.Kind} head predicts none",
                "leave it out, or train another kind of head");
    }

    /// <summary>
    /// The learning rate of a step. Steps are counted from 0. After a linear warm-up the schedule applies; it would
    /// reach its final value in the step after the last one.
    /// </summary>
    public double LearningRateAt(int step)
    {
        if (step < Warmup) return LearningRate * (step + 1) / Warmup;
        var done = Steps <= Warmup ? 1 : (double)(step - Warmup) / (Steps - Warmup);
        return LearningRate * Schedule switch
        {
            LearningRateSchedule.Cosine => 0.5 * (1 + Math.Cos(Math.PI * done)),
            LearningRateSchedule.Linear => 1 - done,
            _ => 1 - 0.98 * Math.Max(0, 2.0 * step / Steps - 1),
        };
    }

    private static void AtLeastOne(string option, int value)
    {
        if (value < 1) throw KoalaException.ForOption(option, $"is {value}, but it must be at least 1", "set it to 1 or more");
    }

    private static void Positive(string option, double value)
    {
        if (!(value > 0) || double.IsInfinity(value))
            throw KoalaException.ForOption(option, $"is {value}, but it must be above 0", "leave it out");
    }

    private static void DecayRate(string option, double value)
    {
        if (!(value is >= 0 and < 1))
            throw KoalaException.ForOption(option, $"is {value}, but it must be at least 0 and below 1", "leave it out");
    }
}
