namespace Koala.Lab.Adversary;

/// <summary>The adversary beside the supervised loss. Koala's own reading of KOALA (arXiv 2408.08146), whose equations could not be obtained.</summary>
public sealed record AdversaryOptions
{
    internal const string WeightOption = $"{Path}.{nameof(Weight)}";

    // They are a property of the training's options: messages name them by their path.
    private const string Path = "Adversary";

    /// <summary>Weight of the adversarial loss beside the supervised one. Default 0: no adversary at all.</summary>
    public double Weight { get; init; }

    /// <summary>Steps over which the weight grows from 0, so that the discriminator learns first. Default 50.</summary>
    public int Warmup { get; init; } = 50;

    /// <summary>Width of the discriminator's hidden layers. Default 64.</summary>
    public int Width { get; init; } = 64;

    /// <summary>The discriminator's learning rate, constant. Default 1e-3.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        if (!(Weight >= 0) || double.IsInfinity(Weight))
            throw KoalaException.ForOption(WeightOption, $"is {Weight}, but it is 0 or above", "set it to 0, or to about 0.1");
        if (Warmup < 0)
            throw KoalaException.ForOption($"{Path}.{nameof(Warmup)}", $"is {Warmup} steps, but it is 0 or above", "leave it out");
        if (Width < 1)
            throw KoalaException.ForOption($"{Path}.{nameof(Width)}", $"is {Width}, but a discriminator has a width of at least 1",
                "leave it out");
        if (!(LearningRate > 0) || double.IsInfinity(LearningRate))
            throw KoalaException.ForOption($"{Path}.{nameof(LearningRate)}", $"is {LearningRate}, but it lies above 0", "leave it out");
    }

    /// <summary>The weight at a step, counted from 0.</summary>
    public double WeightAt(int step) => Warmup == 0 ? Weight : Weight * Math.Min(1.0, (double)step / Warmup);
}
