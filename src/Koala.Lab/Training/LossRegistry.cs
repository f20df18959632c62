using System.Collections.Concurrent;
using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>The losses by name: Koala's own (<see cref="Losses"/>), and those that others add.</summary>
public static class LossRegistry
{
    private static readonly ConcurrentDictionary<string, TrainingLoss> s_losses = new(Losses.All);

    /// <summary>The names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names => [.. s_losses.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Adds a loss; one of the same name is replaced, so that a notebook's cell can be run again.</summary>
    /// <param name="name">As <see cref="LossTerm.Name"/> will say it.</param>
    /// <param name="perPosition">The loss at each of the N positions that count, [N] with gradients; its mean is minimised.</param>
    /// <param name="ofFeatures">As <see cref="TrainingLoss.OfFeatures"/>.</param>
    public static void Register(string name, Func<DistillationTerms, Tensor> perPosition, bool ofFeatures = false) =>
        s_losses[name] = new TrainingLoss(perPosition, ofFeatures);

    /// <summary>The loss of a name.</summary>
    /// <exception cref="KoalaException">There is none.</exception>
    public static TrainingLoss Create(string name) => s_losses.TryGetValue(name, out var loss)
        ? loss
        : throw KoalaException.ForOption(nameof(TrainingOptions.Losses),
            $"'{name}' is no loss known here; known are {string.Join(", ", Names)}",
            "take one of them, or register yours with LossRegistry.Register before");
}
