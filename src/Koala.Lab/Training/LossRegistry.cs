using System.Collections.Concurrent;
using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>The losses by name: Koala's own (<see cref="Losses"/>) and those that users add.</summary>
public static class LossRegistry
{
    private static readonly ConcurrentDictionary<string, TrainingLoss> s_losses = new(Losses.All);

    /// <summary>The names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names => [.. s_losses.Keys.Order(StringComparer.Ordinal)];

    /// <summary>
    /// Registers a loss. It replaces a loss of the same name, so that a notebook's cell can be run again.
    /// </summary>
    /// <param name="name">The name of the loss in <see cref="LossTerm.Name"/>.</param>
    /// <param name="perPosition">
    /// Computes the loss at each of the N positions that count, [N] with gradients. Training minimises its mean.
    /// </param>
    /// <param name="ofFeatures">Whether the loss compares features; see <see cref="TrainingLoss.OfFeatures"/>.</param>
    public static void Register(string name, Func<DistillationTerms, Tensor> perPosition, bool ofFeatures = false) =>
        s_losses[name] = new TrainingLoss(perPosition, ofFeatures);

    /// <summary>The loss with this name.</summary>
    /// <exception cref="KoalaException">There is no such loss.</exception>
    public static TrainingLoss Find(string name) => s_losses.TryGetValue(name, out var loss)
        ? loss
        : throw KoalaException.ForOption(nameof(TrainingOptions.Losses),
            $"'{name}' is not a registered loss; the registered losses are {string.Join(", ", Names)}",
            "use one of them, or register your own with LossRegistry.Register first");
}
