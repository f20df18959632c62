using System.Text.Json.Serialization;

namespace Koala.Lab.Heads.Eagle;

/// <summary>The sizes of an EAGLE head.</summary>
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
    /// The number of tokens that the head predicts over: the most frequent tokens of its training data and all tokens
    /// that end an answer. Default 0, which means the target's whole vocabulary.
    /// </summary>
    public int DraftVocabulary { get; init; }

    /// <summary>
    /// Whether the features are the outputs of three layers of the target (EAGLE-3), which a layer of the head fuses.
    /// Default false: the features are the hidden states after the final norm.
    /// </summary>
    public bool FusedFeatures { get; init; }

    /// <summary>
    /// Whether fc has a bias. Some published heads have one, and servers ignore it without a message. Default false.
    /// </summary>
    public bool Bias { get; init; }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        if (DraftVocabulary < 0)
            throw KoalaException.ForOption(nameof(DraftVocabulary),
                $"is {DraftVocabulary}, but it must be a number of tokens, or 0 for all of the target's",
                "leave it out, or set it to about 8000");
    }
}
