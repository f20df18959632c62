using Koala.Lab.Targets;

namespace Koala.Lab.Drafting;

/// <summary>Whatever can propose tokens for a target: a draft head, or something that needs none.</summary>
public interface IDraftSource
{
    /// <summary>The most tokens one after another that it can draft in a round: the depth of its deepest tree.</summary>
    int MaxDraftLength { get; }

    /// <summary>
    /// The layers of the target whose outputs are its features, counted from 0, their states side by side; empty: the hidden states after the
    /// final norm.
    /// </summary>
    IReadOnlyList<int> FeatureLayers { get; }

    /// <summary>A drafter for a batch of answers.</summary>
    /// <param name="target">The one it was made for.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="capacity">The most tokens a sequence will hold, prompt, answer and a round's draft together.</param>
    Drafter NewDrafter(Target target, int batch, int capacity);
}
