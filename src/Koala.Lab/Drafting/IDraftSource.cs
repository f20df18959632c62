using Koala.Lab.Targets;

namespace Koala.Lab.Drafting;

/// <summary>Anything that can propose tokens for a target: a draft head, or a method that needs no head.</summary>
public interface IDraftSource
{
    /// <summary>The depth of the deepest tree that it can draft in a round.</summary>
    int MaxDraftLength { get; }

    /// <summary>
    /// The layers of the target whose outputs are concatenated to its features, counted from 0. If there are none, the
    /// features are the hidden states after the final norm.
    /// </summary>
    IReadOnlyList<int> FeatureLayers { get; }

    /// <summary>Whether its drafters say how probable it is that a token will be accepted. The default is false.</summary>
    bool HasConfidences => false;

    /// <summary>Whether its drafters propose trees with branches, so that one may be chosen for a device. The default is false.</summary>
    bool DraftsTrees => false;

    /// <summary>Creates a drafter for a batch of answers.</summary>
    /// <param name="target">The target that the source was made for.</param>
    /// <param name="batch">The number of sequences.</param>
    /// <param name="capacity">
    /// The most tokens that a sequence will hold: prompt, answer and a round's draft together.
    /// </param>
    Drafter NewDrafter(Target target, int batch, int capacity);
}
