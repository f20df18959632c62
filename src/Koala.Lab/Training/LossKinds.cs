using System.Collections.Concurrent;
using Koala.Lab.Training.Losses;

namespace Koala.Lab.Training;

/// <summary>The losses by name: Koala's own, and those that others add.</summary>
public static class LossKinds
{
    private static readonly ConcurrentDictionary<string, Func<TrainingLoss>> s_losses = new();

    static LossKinds()
    {
        Register("smooth-l1", () => new SmoothL1());
        Register("soft-cross-entropy", () => new SoftCrossEntropy());
        Register("cross-entropy", () => new CrossEntropy());
        Register("kl", () => new KullbackLeibler());
        Register("jensen-shannon", () => new JensenShannon());
        Register("total-variation", () => new TotalVariation());
        Register("acceptance", () => new AcceptanceLoss());
    }

    /// <summary>The names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names => [.. s_losses.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Adds a loss; one of the same name is replaced, so that a notebook's cell can be run again.</summary>
    /// <param name="name">As <see cref="LossTerm.Name"/> will say it.</param>
    /// <param name="create">Makes it, once a training.</param>
    public static void Register(string name, Func<TrainingLoss> create) => s_losses[name] = create;

    /// <summary>The loss of a name.</summary>
    /// <exception cref="KoalaException">There is none.</exception>
    public static TrainingLoss Create(string name) => s_losses.TryGetValue(name, out var create)
        ? create()
        : throw KoalaException.ForOption(nameof(TrainingOptions.Losses),
            $"'{name}' is no loss known here; known are {string.Join(", ", Names)}",
            "take one of them, or register yours with LossKinds.Register before");
}
