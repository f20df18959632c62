namespace Koala.Lab.Training;

/// <summary>A loss with its weight in the sum that training minimises.</summary>
/// <param name="Name">The name of the loss in <see cref="LossRegistry"/>.</param>
/// <param name="Weight">The weight of the loss, above 0. Default 1.</param>
/// <param name="Decay">The weight of each depth relative to the depth before it, 0 to 1. Default 1.</param>
public sealed record LossTerm(string Name, double Weight = 1, double Decay = 1)
{
    /// <exception cref="KoalaException">The name is not registered, or a number is out of range.</exception>
    public void Validate()
    {
        LossRegistry.Find(Name);
        if (!(Weight > 0) || double.IsInfinity(Weight))
            throw KoalaException.ForOption(nameof(TrainingOptions.Losses), $"weight of {Name} is {Weight}, but it must be above 0",
                "leave the loss out, or set it to 1");
        if (!(Decay is >= 0 and <= 1))
            throw KoalaException.ForOption(nameof(TrainingOptions.Losses), $"decay of {Name} is {Decay}, but it must lie between 0 and 1",
                "leave it out, or set it to 0.8");
    }
}
