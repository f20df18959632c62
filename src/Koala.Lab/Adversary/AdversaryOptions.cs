namespace Koala.Lab.Adversary;

/// <summary>The options of the adversary, which adds its loss to the supervised loss.</summary>
/// <remarks>
/// This is Koala's own interpretation of KOALA (arXiv 2408.08146), whose equations could not be obtained.
/// </remarks>
public sealed record AdversaryOptions
{
    internal const string WeightOption = $"{Path}.{nameof(Weight)}";

    // These options are a property of the training options, so messages name them by their path.
    private const string Path = "Adversary";

    /// <summary>
    /// The weight of the adversarial loss; the supervised loss has weight 1. Default 0, which means no adversary.
    /// </summary>
    public double Weight { get; init; }

    /// <summary>
    /// The number of steps over which the weight grows from 0, so that the discriminator learns first. Default 50.
    /// </summary>
    public int Warmup { get; init; } = 50;

    /// <summary>The width of the discriminator's hidden layers. Default 64.</summary>
    public int Width { get; init; } = 64;

    /// <summary>The discriminator's learning rate, which is constant. Default 1e-3.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        if (!(Weight >= 0) || double.IsInfinity(Weight))
            throw KoalaException.ForOption(WeightOption, $"is {Weight}, but it must be 0 or above", "set it to 0, or to about 0.1");
        if (Warmup < 0)
            throw KoalaException.ForOption($"{Path}.{nameof(Warmup)}", $"is {Warmup} steps, but it must be 0 or above", "leave it out");
        if (Width < 1)
            throw KoalaException.ForOption($"{Path}.{nameof(Width)}", $"is {Width}, but a discriminator has a width of at least 1",
                "leave it out");
        if (!(LearningRate > 0) || double.IsInfinity(LearningRate))
            throw KoalaException.ForOption($"{Path}.{nameof(LearningRate)}", $"is {LearningRate}, but it must be above 0", "leave it out");
    }

    /// <summary>The weight at a step. Steps are counted from 0.</summary>
    public double WeightAt(int step) => Warmup == 0 ? Weight : Weight * Math.Min(1.0, (double)step / Warmup);
}
