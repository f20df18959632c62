using Koala.Lab.Heads;

namespace Koala.Lab.Adversary;

/// <summary>The options of the adversary, which adds its loss to the supervised loss.</summary>
/// <remarks>
/// This is Koala's own interpretation of KOALA (arXiv 2408.08146), whose equations could not be obtained. The defaults are
/// those that did best in trials over seeds; docs/adversary.md describes them.
/// </remarks>
public sealed record AdversaryOptions
{
    internal const string JudgesOption = $"{Path}.{nameof(Judges)}";
    internal const string WeightOption = $"{Path}.{nameof(Weight)}";

    // These options are a property of the training options, so messages name them by their path.
    private const string Path = "Adversary";

    /// <summary>
    /// The weight of the adversarial loss; the supervised loss has weight 1. Default 0, which means no adversary.
    /// </summary>
    public double Weight { get; init; }

    /// <summary>What the discriminator judges. Default: distributions through their expected embedding.</summary>
    public Judged Judges { get; init; }

    /// <summary>What the discriminator is told beside it. Default: the target's state.</summary>
    public JudgedWith With { get; init; }

    /// <summary>
    /// If probabilities are judged: of how many of the target's best tokens at each position. Default 64; 0 means all
    /// tokens, in the order of the vocabulary.
    /// </summary>
    public int TopTokens { get; init; } = 64;

    /// <summary>
    /// The most positions that are judged per step, evenly from all depths. Default 512, since more cost much time and say
    /// little more; 0 means all.
    /// </summary>
    public int Positions { get; init; } = 512;

    /// <summary>The losses of the game. Default: hinge.</summary>
    public AdversarialLoss Loss { get; init; }

    /// <summary>The weight of the gradient penalty of Wasserstein losses. Default 10; 0 means no penalty.</summary>
    public double GradientPenalty { get; init; } = 10;

    /// <summary>How the weight is balanced. Default: by the gradients' norms.</summary>
    public AdversaryBalance Balance { get; init; }

    /// <summary>
    /// The number of steps over which the weight grows from 0, so that the discriminator learns first. Default 50.
    /// </summary>
    public int Warmup { get; init; } = 50;

    /// <summary>
    /// The accuracy of the discriminator on a step's positions below which the head does not listen to it: the weight is 0
    /// at that step. Default 0.6; 0.5 is guessing, and 0 switches this off.
    /// </summary>
    public double LowestAccuracy { get; init; } = 0.6;

    /// <summary>
    /// The accuracy of the discriminator on a step's positions above which it does not learn at that step. Default 0.85; 1
    /// switches this off.
    /// </summary>
    public double HighestAccuracy { get; init; } = 0.85;

    /// <summary>The width of the discriminator's hidden layers. Default 256.</summary>
    public int Width { get; init; } = 256;

    /// <summary>
    /// Whether each matrix of the discriminator is divided by its largest singular value (arXiv 1802.05957). Default true.
    /// </summary>
    public bool SpectralNorm { get; init; } = true;

    /// <summary>The discriminator's learning rate, which is constant. Default 2e-4.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>
    /// The adversary of versions that knew no other: it judges the probabilities of all tokens by non-saturating losses,
    /// without a condition, a balance or a norm. Their runs are resumed with it.
    /// </summary>
    internal static AdversaryOptions Earlier { get; } = new()
    {
        Judges = Judged.Probabilities,
        TopTokens = 0,
        With = JudgedWith.Nothing,
        Positions = 0,
        Loss = AdversarialLoss.NonSaturating,
        Balance = AdversaryBalance.None,
        LowestAccuracy = 0,
        HighestAccuracy = 1,
        SpectralNorm = false,
    };

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        if (!(Weight >= 0) || double.IsInfinity(Weight))
            throw KoalaException.ForOption(WeightOption, $"is {Weight}, but it must be 0 or above", "set it to 0, or to about 0.1");
        if (TopTokens < 0)
            throw KoalaException.ForOption($"{Path}.{nameof(TopTokens)}", $"is {TopTokens}, but it must be 0 or above",
                "leave it out, or set it to 0 for all tokens");
        if (Positions < 0)
            throw KoalaException.ForOption($"{Path}.{nameof(Positions)}", $"is {Positions}, but it must be 0 or above",
                "leave it out, or set it to 0 for all positions");
        if (!(GradientPenalty >= 0) || double.IsInfinity(GradientPenalty))
            throw KoalaException.ForOption($"{Path}.{nameof(GradientPenalty)}", $"is {GradientPenalty}, but it must be 0 or above",
                "leave it out");
        if (Warmup < 0)
            throw KoalaException.ForOption($"{Path}.{nameof(Warmup)}", $"is {Warmup} steps, but it must be 0 or above", "leave it out");
        if (!(LowestAccuracy is >= 0 and <= 1))
            throw KoalaException.ForOption($"{Path}.{nameof(LowestAccuracy)}", $"is {LowestAccuracy}, but it must lie between 0 and 1",
                "leave it out, or set it to 0 to switch it off");
        if (!(HighestAccuracy >= LowestAccuracy && HighestAccuracy <= 1))
            throw KoalaException.ForOption($"{Path}.{nameof(HighestAccuracy)}",
                $"is {HighestAccuracy}, but it must lie between the lowest accuracy, {LowestAccuracy}, and 1",
                "leave it out, or set it to 1 to switch it off");
        if (Width < 1)
            throw KoalaException.ForOption($"{Path}.{nameof(Width)}", $"is {Width}, but a discriminator has a width of at least 1",
                "leave it out");
        if (!(LearningRate > 0) || double.IsInfinity(LearningRate))
            throw KoalaException.ForOption($"{Path}.{nameof(LearningRate)}", $"is {LearningRate}, but it must be above 0", "leave it out");
    }

    /// <summary>Checks that a head has what the discriminator judges.</summary>
    /// <exception cref="KoalaException">Features are judged, but the head predicts none.</exception>
    public void CheckFor(HeadOptions head)
    {
        if (Weight > 0 && Judges == Judged.Features && !head.PredictsFeatures)
            throw KoalaException.ForOption(JudgesOption, $"is features, but a {head.Kind} head predicts none",
                "set it to distributions, or train another kind of head");
    }

    /// <summary>The weight at a step before it is balanced. Steps are counted from 0.</summary>
    public double WeightAt(int step) => Warmup == 0 ? Weight : Weight * Math.Min(1.0, (double)step / Warmup);
}
