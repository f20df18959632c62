using Koala.Lab.Adversary;
using Koala.Lab.Heads;

namespace Koala.Lab.Training;

/// <summary>How a head is trained.</summary>
public sealed record TrainingOptions
{
    // AdamW moves a weight by about the learning rate: beyond this the weights overflow at once.
    private const double HighestLearningRate = 1e30;

    /// <summary>Optimizer steps. Default 600.</summary>
    public int Steps { get; init; } = 600;

    /// <summary>Packed rows a step. Default 2: more and smaller steps learned more in the same time.</summary>
    public int Batch { get; init; } = 2;

    /// <summary>Tokens a row. Default 256.</summary>
    public int RowLength { get; init; } = 256;

    /// <summary>What is minimised beside the adversary's term. Default: cross-entropy against the target's distribution, each depth with 0.8 of the weight of the one before (Medusa's paper).</summary>
    public IReadOnlyList<LossTerm> Losses { get; init; } = [new("soft-cross-entropy", 1, 0.8)];

    /// <summary>Training-time test: steps on its own output that a head is trained over which feeds on it. 1 to 8, default 1. Others pay no attention.</summary>
    public int TrainingTimeTest { get; init; } = 1;

    /// <summary>Uniform noise between plus and minus this on the features that the head gets. Default 0.</summary>
    public double FeatureNoise { get; init; }

    /// <summary>Peak learning rate. Default 3e-3: over a few hundred steps the best for heads that share the LM head.</summary>
    public double LearningRate { get; init; } = 3e-3;

    /// <summary>How the learning rate falls after warm-up. Default: as a cosine.</summary>
    public LearningRateSchedule Schedule { get; init; }

    /// <summary>Steps over which the learning rate grows to its peak. Default 20.</summary>
    public int Warmup { get; init; } = 20;

    /// <summary>AdamW's first decay rate. Default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's second decay rate. Default 0.95.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>AdamW's decoupled weight decay. Default 0.</summary>
    public double WeightDecay { get; init; }

    /// <summary>The limit that gradients are kept to. Default 1.</summary>
    public double Clip { get; init; } = 1;

    /// <summary>Whether the limit is the norm's of all gradients (default) or each one's.</summary>
    public ClipBy ClipBy { get; init; }

    /// <summary>The adversary; off by default.</summary>
    public AdversaryOptions Adversary { get; init; } = new();

    /// <summary>Seed of the data order and of what starts at random. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Steps between looks at held-out accuracy. Default 100; the last step always looks.</summary>
    public int ValidateEvery { get; init; } = 100;

    /// <summary>Steps between saved training states. Default 200; the last step always saves.</summary>
    public int SaveEvery { get; init; } = 200;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        AtLeastOne(nameof(Steps), Steps);
        AtLeastOne(nameof(Batch), Batch);
        AtLeastOne(nameof(ValidateEvery), ValidateEvery);
        AtLeastOne(nameof(SaveEvery), SaveEvery);
        if (RowLength < 8)
            throw KoalaException.ForOption(nameof(RowLength), $"is {RowLength}, but a row has at least 8 tokens", "set it to 256");
        if (Warmup < 0) throw KoalaException.ForOption(nameof(Warmup), $"is {Warmup} steps, but it is 0 or above", "leave it out");
        if (Losses.Count == 0)
            throw KoalaException.ForOption(nameof(Losses), "is given none, but something is to be minimised", "leave it out");
        foreach (var term in Losses) term.Validate();
        if (Losses.GroupBy(term => term.Name).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw KoalaException.ForOption(nameof(Losses), $"{twice.Key} is given twice", "give it once, with the weights added");
        if (TrainingTimeTest is < 1 or > 8)
            throw KoalaException.ForOption(nameof(TrainingTimeTest), $"is {TrainingTimeTest} steps, but it is 1 to 8", "set it to 3");
        if (!(FeatureNoise >= 0) || double.IsInfinity(FeatureNoise))
            throw KoalaException.ForOption(nameof(FeatureNoise), $"is {FeatureNoise}, but it is 0 or above",
                "leave it out, or set it to 0.05");
        DecayRate(nameof(Beta1), Beta1);
        DecayRate(nameof(Beta2), Beta2);
        Positive(nameof(LearningRate), LearningRate);
        if (LearningRate > HighestLearningRate)
            throw KoalaException.ForOption(nameof(LearningRate), $"is {LearningRate}, but a step of that size leaves the range of fp32",
                "set it to about 0.003");
        Positive(nameof(Clip), Clip);
        if (!(WeightDecay >= 0) || double.IsInfinity(WeightDecay))
            throw KoalaException.ForOption(nameof(WeightDecay), $"is {WeightDecay}, but it is 0 or above", "leave it out");
        Adversary.Validate();
    }

    /// <exception cref="KoalaException">A loss compares features, and the head predicts none.</exception>
    public void CheckFor(HeadOptions head)
    {
        if (!head.PredictsFeatures && Losses.FirstOrDefault(term => LossRegistry.Create(term.Name).OfFeatures) is { } loss)
            throw KoalaException.ForOption(nameof(Losses), $"{loss.Name} compares features, but a {head.Kind} head predicts none",
                "leave it out, or train another kind of head");
    }

    /// <summary>The learning rate of a step, counted from 0: linear warm-up, then the schedule, which reaches its end where the next step would be.</summary>
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
        if (value < 1) throw KoalaException.ForOption(option, $"is {value}, but it is at least 1", "set it to 1 or more");
    }

    private static void Positive(string option, double value)
    {
        if (!(value > 0) || double.IsInfinity(value))
            throw KoalaException.ForOption(option, $"is {value}, but it lies above 0", "leave it out");
    }

    private static void DecayRate(string option, double value)
    {
        if (!(value is >= 0 and < 1)) throw KoalaException.ForOption(option, $"is {value}, but it lies from 0 to below 1", "leave it out");
    }
}
