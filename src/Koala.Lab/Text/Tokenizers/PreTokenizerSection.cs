using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the <c>pre_tokenizer</c> of tokenizer.json.</summary>
internal sealed class PreTokenizerSection
{
    private readonly List<PieceStep> _steps = [];
    private bool _byteLevel;

    /// <returns>The pre-tokenizer, and whether it ends in ByteLevel, so that the model sees bytes.</returns>
    /// <exception cref="KoalaException">Koala does not know a step, or something follows ByteLevel.</exception>
    public static (PreTokenizer PreTokenizer, bool IsByteLevel) Read(JsonSection root, string file)
    {
        var reader = new PreTokenizerSection();
        if (root.OptionalSection("pre_tokenizer") is { } section) reader.Add(section);
        return (new PreTokenizer(reader._steps, file), reader._byteLevel);
    }

    private void Add(JsonSection step)
    {
        var name = step.Text("type");
        // After ByteLevel a pattern would see bytes.
        if (_byteLevel && name != "Sequence")
            throw step.Fault("type", $"is '{MessageText.Text(name)}' after ByteLevel, but Koala knows ByteLevel as the last step only",
                "use another model");
        switch (name)
        {
            case "Sequence":
                foreach (var inner in step.Items("pretokenizers")) Add(inner);
                break;
            case "Digits":
                var digits = step.Boolean("individual_digits", false) ? SplitBehaviour.Isolated : SplitBehaviour.Contiguous;
                _steps.Add(new PieceStep(new SplitStep(PreTokenizer.DigitPattern, digits)));
                break;
            case "Split":
                _steps.Add(new PieceStep(new SplitStep(PatternSection.Read(step), Behaviour(step), step.Boolean("invert", false))));
                break;
            case "Metaspace":
                var prefix = MetaspaceSection.Prefix(step);
                _steps.Add(PieceStep.Metaspace(prefix, step.Boolean("split", true)));
                break;
            case "ByteLevel":
                _byteLevel = true;
                _steps.Add(PieceStep.ByteLevel(step.Boolean("use_regex", true), step.Boolean("add_prefix_space", true)));
                break;
            default:
                throw step.Unsupported("type", name);
        }
    }

    private static SplitBehaviour Behaviour(JsonSection step)
    {
        var name = step.Text("behavior");
        // The parser also takes numbers, which are no names.
        var isParsed = Enum.TryParse<SplitBehaviour>(name, out var behaviour);
        var isKnown = isParsed && Enum.IsDefined(behaviour) && behaviour.ToString() == name;
        return isKnown ? behaviour : throw step.Unsupported("behavior", name);
    }
}
