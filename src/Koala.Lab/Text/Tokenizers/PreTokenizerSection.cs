using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the <c>pre_tokenizer</c> of tokenizer.json, whose last step is ByteLevel.</summary>
internal sealed class PreTokenizerSection
{
    private readonly List<SplitStep> _steps = [];
    private bool _byteLevel;
    private bool _prefixSpace;

    /// <exception cref="KoalaException">Koala does not know a step, or the last one is not ByteLevel.</exception>
    public static PreTokenizer Read(JsonSection root, string file)
    {
        var reader = new PreTokenizerSection();
        if (root.OptionalSection("pre_tokenizer") is { } section) reader.Add(section);
        if (!reader._byteLevel)
            throw root.Fault("pre_tokenizer", "does not end in ByteLevel", "use a model with a byte-level BPE tokenizer");
        return new PreTokenizer(reader._steps, reader._prefixSpace, file);
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
                _steps.Add(new SplitStep(PreTokenizer.DigitPattern, digits));
                break;
            case "Split":
                _steps.Add(new SplitStep(PatternSection.Read(step), Behaviour(step), step.Boolean("invert", false)));
                break;
            case "ByteLevel":
                _byteLevel = true;
                _prefixSpace = step.Boolean("add_prefix_space", true);
                var pattern = step.Boolean("use_regex", true) ? PreTokenizer.Gpt2Pattern : PreTokenizer.NothingPattern;
                _steps.Add(new SplitStep(pattern, SplitBehaviour.Isolated));
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
