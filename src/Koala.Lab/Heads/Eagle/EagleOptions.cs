using System.Text.Json.Serialization;
using Koala.Lab.Checkpoints;

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

    /// <summary>
    /// How the head joins embeddings and features. Default null: EAGLE-3 for a new head with fused features and without bias, EAGLE for
    /// every other one, and EAGLE for a head that was saved so. Of the heads with fused features, servers compute those of EAGLE-3.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public EagleArchitecture? Architecture { get; init; }

    /// <summary>
    /// The layers of the target, counted from 0, whose outputs are fused. Default null: 1, N/2-1 and N-4 of N, moved for a small N.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? FusedLayers { get; init; }

    /// <summary>
    /// Whether the head has an LM head of its own, which starts as the target's (EAGLE-3 only). Default false: the target's is shared,
    /// frozen and not stored.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool OwnLmHead { get; init; }

    /// <summary>EAGLE-3: whether the residual of the first layer is the normed feature, not the feature itself. Default false.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool NormBeforeResidual { get; init; }

    /// <summary>EAGLE-3: whether the joined states are normed before they are fused. Default false.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool NormBeforeFc { get; init; }

    /// <summary>
    /// EAGLE-3.1 (arXiv 2605.09992): whether each of the fused states has a norm of its own, with weights that start at one. Default false.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool FeatureNorms { get; init; }

    /// <summary>
    /// EAGLE-3.1 (arXiv 2605.09992): whether the head continues from its normed output. Default false: from the output before the norm.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool NormOutput { get; init; }

    /// <summary>
    /// Whether the head has a confidence output: a small layer beside it, which learns whether the next drafted token will be accepted.
    /// Default false.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Confidence { get; init; }

    /// <summary>
    /// Whether each of the fused states has a learned weight, which starts at one and multiplies the whole state before the layer that
    /// fuses them. Default false.
    /// </summary>
    /// <remarks>
    /// The idea of weighting the target's layers is that of DFlare (arXiv 2606.02091), which learns weights for each layer of the head.
    /// Here there is one weighting. The layer that fuses could express the same, but a single number moves a whole state at once.
    /// </remarks>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool FusionWeights { get; init; }

    /// <summary>
    /// The sliding window of the head's attention: how many pairs back a pair attends, itself included; in a draft, the tokens drafted
    /// before count too. At least 16. Default null: a pair attends to all before it.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Window { get; init; }

    /// <summary>The sizes of the decoder layers. Default null: those of the target.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public EagleDecoderSizes? Decoder { get; init; }

    [JsonIgnore]
    internal bool IsEagle3 => Architecture == EagleArchitecture.Eagle3;

    // The first option that is set and that only EAGLE-3 has; null if there is none.
    private string? OptionOfEagle3 =>
        FeatureNorms ? nameof(FeatureNorms)
        : NormOutput ? nameof(NormOutput)
        : NormBeforeFc ? nameof(NormBeforeFc)
        : NormBeforeResidual ? nameof(NormBeforeResidual)
        : OwnLmHead ? nameof(OwnLmHead)
        : null;

    /// <summary>The options of a new head: without an architecture, EAGLE-3 if features are fused and there is no bias.</summary>
    internal EagleOptions WithArchitecture() => Architecture is null && FusedFeatures && !Bias
        ? this with { Architecture = EagleArchitecture.Eagle3 }
        : this;

    /// <summary>The number of states that are fused.</summary>
    [JsonIgnore]
    internal int FusedCount => FusedLayers?.Count ?? EagleHead.FusedLayers;

    /// <summary>The config of the head's decoder layers, for a head of this target.</summary>
    internal ModelConfig LayersFor(ModelConfig target)
    {
        var layers = Decoder?.In(target.ForHeads)
            ?? (IsEagle3 ? target.ForHeads with { AttentionBias = false, QueryKeyNorm = false } : target.ForHeads);
        return Window is null ? layers : layers with { SlidingWindow = Window, WindowLayers = [.. Enumerable.Range(0, Layers)] };
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        if (DraftVocabulary < 0)
            throw KoalaException.ForOption(nameof(DraftVocabulary),
                $"is {DraftVocabulary}, but it must be a number of tokens, or 0 for all of the target's",
                "leave it out, or set it to about 8000");
        if (IsEagle3 && !FusedFeatures)
            throw KoalaException.ForOption(nameof(Architecture), "is that of EAGLE-3, which fuses features, but they are not fused",
                $"set {new OptionName(nameof(FusedFeatures))} as well");
        if (IsEagle3 && Bias)
            throw KoalaException.ForOption(nameof(Bias), "is given, but the layers of EAGLE-3 have none", "leave it out");
        if (OptionOfEagle3 is { } option && !WithArchitecture().IsEagle3)
            throw KoalaException.ForOption(option, "is set, but only the architecture of EAGLE-3 has it",
                $"set {new OptionName(nameof(FusedFeatures))} and leave out {new OptionName(nameof(Bias))} and "
                + $"{new OptionName(nameof(Architecture))}, or leave it out");
        if (FeatureNorms && NormBeforeFc)
            throw KoalaException.ForOption(nameof(FeatureNorms), "norms each state, but the joined states are normed already",
                $"leave out {new OptionName(nameof(NormBeforeFc))}");
        if (FusionWeights && !FusedFeatures)
            throw KoalaException.ForOption(nameof(FusionWeights), "weights the fused states, but the features are not fused",
                $"set {new OptionName(nameof(FusedFeatures))} as well, or leave it out");
        if (Window < EagleHead.LongestDraft)
            throw KoalaException.ForOption(nameof(Window),
                $"is {Window}, but a window holds at least the longest draft, {EagleHead.LongestDraft} tokens",
                "set it to 256, or leave it out");
        if (FusedLayers is not null && (FusedLayers.Count is 0 or > 16 || FusedLayers.Any(layer => layer < 0)))
            throw KoalaException.ForOption(nameof(FusedLayers), "names no layers", "name 1 to 16 layers, counted from 0");
    }
}
