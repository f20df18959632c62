using System.Text.RegularExpressions;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the <c>pre_tokenizer</c> of tokenizer.json, whose last step is ByteLevel.</summary>
internal sealed class PreTokenizerSection
{
    // Every real pattern processes megabytes within a second.
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(1);

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
        // After ByteLevel a pattern would see bytes.
        if (_byteLevel)
            throw step.Fault(
                "type", "follows ByteLevel, which has to be the last step", "use a model with a byte-level BPE tokenizer");
        switch (step.Text("type"))
        {
            case "Sequence":
                foreach (var inner in step.Items("pretokenizers")) Add(inner);
                break;
            case "Digits":
                var digits = step.Boolean("individual_digits", false) ? SplitBehaviour.Isolated : SplitBehaviour.Contiguous;
                _steps.Add(new SplitStep(PreTokenizer.DigitPattern, digits));
                break;
            case "Split":
                _steps.Add(new SplitStep(Pattern(step), Behaviour(step), step.Boolean("invert", false)));
                break;
            case "ByteLevel":
                _byteLevel = true;
                _prefixSpace = step.Boolean("add_prefix_space", true);
                var pattern = step.Boolean("use_regex", true) ? PreTokenizer.Gpt2Pattern : PreTokenizer.NothingPattern;
                _steps.Add(new SplitStep(pattern, SplitBehaviour.Isolated));
                break;
            case var type:
                throw step.Unsupported("type", type);
        }
    }

    private static Regex Pattern(JsonSection step)
    {
        var pattern = step.Section("pattern");
        var text = pattern.OptionalText("String") is { } literal ? Regex.Escape(literal) : pattern.Text("Regex");
        // Patterns are matched on stand-ins for characters beyond the basic plane (CodePointText).
        if (text.Any(char.IsSurrogate))
            throw step.Fault("pattern", "names a character beyond U+FFFF, which Koala does not match", "use another model");
        try
        {
            return new Regex(text, RegexOptions.Compiled | RegexOptions.Multiline, s_timeout);
        }
        catch (ArgumentException e)
        {
            throw step.Fault(
                "pattern", $"is no regular expression that .NET knows ({e.Message.TrimEnd('.')})", "use another model", e);
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
