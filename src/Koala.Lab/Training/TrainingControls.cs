namespace Koala.Lab.Training;

/// <summary>
/// The controls of an adversary: the same training with the same seed and data order, without the adversary, and with a
/// closed-form loss in its place or with none. What an adversary is good for shows against them.
/// </summary>
public static class TrainingControls
{
    /// <summary>The control without anything in the adversary's place.</summary>
    public const string None = "none";

    /// <summary>The names of the controls: none, and the losses that take the adversary's place.</summary>
    public static IReadOnlyList<string> Names { get; } = [None, "jensen-shannon", "total-variation", "acceptance", "expected-tau"];

    /// <summary>The options of a control.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">The options of the training with the adversary.</param>
    /// <returns>
    /// The same options without the adversary. The control's loss has weight 1, or 1 more than it had, and the decay of the
    /// first loss that compares distributions.
    /// </returns>
    /// <exception cref="KoalaException">There is no such control.</exception>
    public static TrainingOptions Create(string name, TrainingOptions options)
    {
        Check(name);
        var plain = options with { Adversary = options.Adversary with { Weight = 0 } };
        if (name == None) return plain;
        if (plain.Losses.FirstOrDefault(term => term.Name == name) is { } same)
            return plain with { Losses = [.. plain.Losses.Select(term => term == same ? term with { Weight = term.Weight + 1 } : term)] };
        var decay = plain.Losses.FirstOrDefault(term => !LossRegistry.Find(term.Name).OfFeatures)?.Decay ?? 1;
        return plain with { Losses = [.. plain.Losses, new LossTerm(name, 1, decay)] };
    }

    /// <exception cref="KoalaException">There is no such control.</exception>
    internal static void Check(string name)
    {
        if (!Names.Contains(name))
            throw KoalaException.ForOption(nameof(TrainingRequest.WithControls),
                $"'{MessageText.Text(name)}' is not a control; the controls are {string.Join(", ", Names)}", "use some of them");
    }
}
