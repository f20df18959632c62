using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the <c>decoder</c> of tokenizer.json: how the vocabulary writes text.</summary>
internal sealed class DecoderSection
{
    private readonly List<(string From, string To)> _replacements = [];
    private TokenSpelling _spelling = new();
    private bool _isJoined;   // whether the tokens have become one text

    /// <exception cref="KoalaException">There is no decoder, or Koala does not know a step.</exception>
    public static TokenSpelling Read(JsonSection root)
    {
        var reader = new DecoderSection();
        reader.Add(root.Section("decoder"));
        return reader._spelling with { Replacements = reader._replacements };
    }

    private void Add(JsonSection step)
    {
        var isByteLevel = _spelling.IsByteLevel;
        switch (step.Text("type"))
        {
            case "Sequence":
                foreach (var inner in step.Items("decoders")) Add(inner);
                break;
            case "ByteLevel" when !isByteLevel && !_isJoined && _replacements.Count == 0:
                _spelling = _spelling with { IsByteLevel = true };
                break;
            // ByteLevel leaves one text. There is nothing left to join.
            case "Fuse":
                _isJoined = true;
                break;
            case "ByteFallback" when !isByteLevel && !_isJoined:
                _spelling = _spelling with { HasByteTokens = true };
                break;
            case "Metaspace" when !isByteLevel && !_isJoined:
                _replacements.Add((TokenSpelling.SpaceMark, " "));
                // What would get a space at the beginning of a text loses it again.
                var dropped = MetaspaceSection.Prefix(step)(TextPosition.Start) ? LeadingSpaces.DropAll : LeadingSpaces.Keep;
                _spelling = _spelling with { Leading = dropped };
                break;
            case "Strip" when step.OptionalNumber("start") is null or 0 && step.OptionalNumber("stop") is null or 0:
                break;
            case "Strip" when !isByteLevel && _isJoined && step.Text("content") == " "
                && step.OptionalNumber("start") == 1 && step.OptionalNumber("stop") is null or 0:
                _spelling = _spelling with { Leading = LeadingSpaces.DropOne };
                break;
            case "Replace" when step.Section("pattern").OptionalText("String") is { Length: > 0 } text:
                if (text == step.Text("content")) break;
                if (isByteLevel) throw step.Unsupported("type", "Replace");
                _replacements.Add((text, step.Text("content")));
                break;
            case var type:
                throw step.Unsupported("type", type);
        }
    }
}
