using Koala.Lab.Targets;

namespace Koala.Lab.Drafting;

/// <summary>Proposes what followed the last tokens where they stood before, in the prompt or the answer: a drafter that needs no head.</summary>
/// <remarks>
/// Prompt lookup decoding: the longest of the last n tokens that stood before counts, and of its places the most recent one. Good where an answer repeats
/// its prompt or itself, and nearly free; where nothing is found nothing is drafted.
/// </remarks>
public sealed record PromptLookup : IDraftSource
{
    /// <summary>What the command and reports call it.</summary>
    public const string Name = "prompt-lookup";

    /// <summary>Tokens that have to be the same, at most. Default 3.</summary>
    public int Longest { get; init; } = 3;

    /// <summary>Tokens that have to be the same, at least. Default 1.</summary>
    public int Shortest { get; init; } = 1;

    /// <inheritdoc/>
    /// <remarks>Default 10.</remarks>
    public int MaxDraftLength { get; init; } = 10;

    /// <inheritdoc/>
    public IReadOnlyList<int> FeatureLayers => [];

    /// <inheritdoc/>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    public Drafter NewDrafter(Target target, int batch, int capacity)
    {
        if (Shortest < 1 || Longest < Shortest)
            throw new KoalaException(Name, $"looks for {Shortest} to {Longest} tokens, but it is at least one, and the longest is not below the shortest", "set them to 1 and 3");
        if (MaxDraftLength < 1) throw new KoalaException(Name, $"drafts at most {MaxDraftLength} tokens, but it is at least one", "set it to 10");
        return new PromptLookupDrafter(this, batch);
    }
}
