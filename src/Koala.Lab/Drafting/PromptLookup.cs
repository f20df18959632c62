using Koala.Lab.Targets;

namespace Koala.Lab.Drafting;

/// <summary>
/// Proposes the tokens that followed an earlier occurrence of the last tokens, in the prompt or the answer. It needs no
/// head.
/// </summary>
/// <remarks>
/// This is prompt lookup decoding. The longest run of last tokens that occurred before counts, at its most recent
/// occurrence. The method is good where an answer repeats its prompt or itself, and it costs almost nothing; where it
/// finds nothing, it drafts nothing.
/// </remarks>
public sealed record PromptLookup : IDraftSource
{
    /// <summary>The name that the command and reports use.</summary>
    public const string Name = "prompt-lookup";

    /// <summary>The largest number of last tokens to look up. The default is 3.</summary>
    public int Longest { get; init; } = 3;

    /// <summary>The smallest number of last tokens to look up. The default is 1.</summary>
    public int Shortest { get; init; } = 1;

    /// <inheritdoc/>
    /// <remarks>The default is 10.</remarks>
    public int MaxDraftLength { get; init; } = 10;

    /// <inheritdoc/>
    public IReadOnlyList<int> FeatureLayers => [];

    /// <inheritdoc/>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    public Drafter NewDrafter(Target target, int batch, int capacity)
    {
        if (Shortest < 1 || Longest < Shortest)
            throw new KoalaException(Name,
                $"looks for {Shortest} to {Longest} tokens, but the first must be at least 1 and at most the second",
                "set them to 1 and 3");
        if (MaxDraftLength < 1)
            throw new KoalaException(Name, $"drafts at most {MaxDraftLength} tokens, but needs at least 1", "set it to 10");
        return new PromptLookupDrafter(this, batch);
    }
}
