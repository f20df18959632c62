using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;

namespace Koala.Cli.Options;

/// <summary>The kind and the sizes of a new head: <c>--layers</c> and the options of each kind.</summary>
/// <param name="kind">The option that names the kind.</param>
internal sealed class NewHeadOptions(Option<string> kind)
{
    private readonly Option<int> _layers = SharedOptions.Integer("--layers", "K: the number of layers of the head.",
        () => new MedusaOptions().Layers);
    private readonly Option<int> _medusaHeads = SharedOptions.Integer("--medusa-heads",
        "Medusa: the number of heads, which is the most tokens that a round can draft.",
        () => new MedusaOptions().Heads);
    private readonly Option<bool> _tied = SharedOptions.Flag("--tied",
        "Medusa: use one block K times instead of K blocks (an ablation).");
    private readonly Option<bool> _ownLmHeads = SharedOptions.Flag("--own-lm-heads",
        "Medusa: give each head its own LM head, which starts as a copy of the target's.");
    private readonly Option<int> _markovRank = SharedOptions.Integer("--markov-rank",
        "Medusa: the rank of a bias by the token before, which makes the heads sequential; 0 means none.",
        () => new MedusaOptions().MarkovRank);
    private readonly Option<int> _draftVocabulary = SharedOptions.Integer("--draft-vocabulary",
        "EAGLE: predict over the N most frequent tokens of the training data; 0 means all tokens.",
        () => new EagleOptions().DraftVocabulary);
    private readonly Option<bool> _fusedFeatures = SharedOptions.Flag("--fused-features",
        "EAGLE: use the hidden states of three layers of the target as its features.");
    private readonly Option<bool> _bias = SharedOptions.Flag("--bias",
        "EAGLE: give the layer that joins embedding and feature a bias.");
    private readonly Option<string> _architecture = SharedOptions.OptionalChoice("--architecture",
        "EAGLE: how embeddings and features are joined. eagle3 is what servers compute; it needs --fused-features. Default: eagle3 with "
        + "--fused-features and without --bias, otherwise eagle1.", "eagle1", "eagle3");
    private readonly Option<bool> _featureNorms = SharedOptions.Flag("--feature-norms",
        "EAGLE-3.1: give each of the fused states a norm of its own; it needs --fused-features.");
    private readonly Option<bool> _normOutput = SharedOptions.Flag("--norm-output",
        "EAGLE-3.1: let the head continue from its normed output; it needs --fused-features.");
    private readonly Option<bool> _fusionWeights = SharedOptions.Flag("--fusion-weights",
        "EAGLE: give each of the fused states a learned weight; it needs --fused-features.");
    private readonly Option<int?> _window = SharedOptions.OptionalInteger("--window",
        "EAGLE: the sliding window of the head's attention in tokens, 16 or more. Default: none, a token attends to all before it.");
    private readonly Option<bool> _confidence = SharedOptions.Flag("--confidence",
        "Give the head a confidence output: how probable it is that the next drafted token will be accepted.");

    /// <summary>The kinds of head.</summary>
    public static string[] Kinds => ["medusa", "eagle"];

    /// <summary>All options except for the kind.</summary>
    public IReadOnlyList<Option> Sizes => [_layers, _confidence, .. OfMedusa, .. OfEagle];

    /// <summary>Whether the user wants a confidence output.</summary>
    public Option<bool> Confidence => _confidence;

    private Option[] OfMedusa => [_medusaHeads, _tied, _ownLmHeads, _markovRank];

    private Option[] OfEagle =>
        [_draftVocabulary, _fusedFeatures, _bias, _architecture, _featureNorms, _normOutput, _fusionWeights, _window];

    /// <param name="result">The arguments.</param>
    /// <param name="eagleOnly">Further options that apply to an EAGLE head only.</param>
    /// <exception cref="KoalaException">An option belongs to another kind.</exception>
    public HeadOptions Read(ParseResult result, params Option[] eagleOnly)
    {
        var isMedusa = result.GetValue(kind) == "medusa";
        Option[] ofOtherKind = isMedusa ? [.. OfEagle, .. eagleOnly] : OfMedusa;
        if (result.FirstGiven(ofOtherKind) is { } given)
        {
            var (thisKind, otherKind) = isMedusa ? ("a medusa", "eagle") : ("an eagle", "medusa");
            throw new KoalaException(given.Name, $"does not apply to {thisKind} head",
                $"leave it out, or give {kind.Name} {otherKind}");
        }
        var layers = result.GetValue(_layers);
        if (isMedusa)
        {
            return new MedusaOptions
            {
                Layers = layers,
                Heads = result.GetValue(_medusaHeads),
                Tied = result.GetValue(_tied),
                OwnLmHeads = result.GetValue(_ownLmHeads),
                MarkovRank = result.GetValue(_markovRank),
                Confidence = result.GetValue(_confidence),
            };
        }
        return new EagleOptions
        {
            Layers = layers,
            DraftVocabulary = result.GetValue(_draftVocabulary),
            FusedFeatures = result.GetValue(_fusedFeatures),
            Bias = result.GetValue(_bias),
            Architecture = result.GetValue(_architecture) switch
            {
                null => null,
                "eagle3" => EagleArchitecture.Eagle3,
                _ => EagleArchitecture.Eagle1,
            },
            FeatureNorms = result.GetValue(_featureNorms),
            NormOutput = result.GetValue(_normOutput),
            FusionWeights = result.GetValue(_fusionWeights),
            Window = result.GetValue(_window),
            Confidence = result.GetValue(_confidence),
        };
    }
}
