namespace Koala.Lab.Training;

/// <summary>A loss and its part in what is minimised.</summary>
/// <param name="Name">As in <see cref="LossRegistry"/>.</param>
/// <param name="Weight">Of the loss beside the others, above 0. Default 1.</param>
/// <param name="Decay">Weight of a depth against the depth before it, 0 to 1. Default 1.</param>
public sealed record LossTerm(string Name, double Weight = 1, double Decay = 1)
{
    /// <exception cref="KoalaException">The name is not known, or a number is out of range.</exception>
    public void Validate()
    {
        LossRegistry.Create(Name);
        if (!(Weight > 0) || double.IsInfinity(Weight))
            throw KoalaException.ForOption(nameof(TrainingOptions.Losses), $"weight of {Name} is {Weight}, but it lies above 0",
                "leave the loss out, or set it to 1");
        if (!(Decay is >= 0 and <= 1))
            throw KoalaException.ForOption(nameof(TrainingOptions.Losses), $"decay of {Name} is {Decay}, but it lies between 0 and 1",
                "leave it out, or set it to 0.8");
    }
}
