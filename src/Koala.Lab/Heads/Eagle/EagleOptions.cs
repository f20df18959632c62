using System.Text.Json.Serialization;

namespace Koala.Lab.Heads.Eagle;

/// <summary>Sizes of an EAGLE head.</summary>
public sealed record EagleOptions : HeadOptions
{
    internal const string KindName = "eagle";

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Kind => KindName;

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool PredictsFeatures => true;

    /// <summary>
    /// Tokens it predicts over: the most frequent ones of what it learns from, and all that end an answer. Default 0: the target's whole vocabulary.
    /// </summary>
    public int DraftVocabulary { get; init; }

    /// <summary>Whether three layers of the target are its features (EAGLE-3), through a layer of its own. Default false: the hidden states after the final norm.</summary>
    public bool FusedFeatures { get; init; }

    /// <summary>Whether fc has a bias, as some published heads have it; servers drop it unnoticed. Default false.</summary>
    public bool Bias { get; init; }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        if (DraftVocabulary < 0)
            throw KoalaException.ForOption(nameof(DraftVocabulary),
                $"is {DraftVocabulary}, but it is a number of tokens, or 0 for all of the target's",
                "leave it out, or set it to about 8000");
    }
}
