using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;

namespace Koala.Cli.Options;

/// <summary>Kind and sizes of a head that is to be made: <c>--layers</c> and the options of each kind.</summary>
/// <param name="kind">The option that names the kind.</param>
internal sealed class NewHeadOptions(Option<string> kind)
{
    private readonly Option<int> _layers = SharedOptions.Whole("--layers", "K: layers of the head.", () => new MedusaOptions().Layers);
    private readonly Option<int> _medusaHeads = SharedOptions.Whole("--medusa-heads", "Medusa heads, and so the most tokens drafted a round.", () => new MedusaOptions().Heads);
    private readonly Option<bool> _tied = SharedOptions.Flag("--tied", "Medusa: use one block K times in place of K blocks (an ablation).");
    private readonly Option<bool> _ownLmHeads = SharedOptions.Flag("--own-lm-heads", "Medusa: give each head an LM head of its own, which starts as the target's.");
    private readonly Option<int> _draftVocabulary = SharedOptions.Whole("--draft-vocabulary", "EAGLE: predict over the N most frequent tokens of the training data; 0 for all.", () => new EagleOptions().DraftVocabulary);
    private readonly Option<bool> _fusedFeatures = SharedOptions.Flag("--fused-features", "EAGLE: take three layers of the target as its features.");
    private readonly Option<bool> _bias = SharedOptions.Flag("--bias", "EAGLE: give the layer that joins embedding and feature a bias.");

    /// <summary>The kinds there are.</summary>
    public static string[] Kinds => ["medusa", "eagle"];

    /// <summary>All but the kind.</summary>
    public IReadOnlyList<Option> Sizes => [_layers, _medusaHeads, _tied, _ownLmHeads, _draftVocabulary, _fusedFeatures, _bias];

    /// <param name="result">The arguments.</param>
    /// <param name="eagleOnly">Further options that mean something to an EAGLE head only.</param>
    /// <exception cref="KoalaException">An option belongs to another kind.</exception>
    public HeadOptions Read(ParseResult result, params Option[] eagleOnly)
    {
        var medusa = result.GetValue(kind) == "medusa";
        Option[] others = medusa ? [_draftVocabulary, _fusedFeatures, _bias, .. eagleOnly] : [_medusaHeads, _tied, _ownLmHeads];
        if (others.FirstOrDefault(result.Has) is { } other)
            throw new KoalaException(other.Name, $"means nothing to {(medusa ? "a medusa" : "an eagle")} head", $"leave it out, or say {kind.Name} {(medusa ? "eagle" : "medusa")}");
        var layers = result.GetValue(_layers);
        return medusa
            ? new MedusaOptions { Layers = layers, Heads = result.GetValue(_medusaHeads), Tied = result.GetValue(_tied), OwnLmHeads = result.GetValue(_ownLmHeads) }
            : new EagleOptions { Layers = layers, DraftVocabulary = result.GetValue(_draftVocabulary), FusedFeatures = result.GetValue(_fusedFeatures), Bias = result.GetValue(_bias) };
    }
}
