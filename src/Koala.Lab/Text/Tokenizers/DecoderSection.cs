using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>
/// Checks the <c>decoder</c> of tokenizer.json: it is ByteLevel, alone or among steps that change nothing.
/// </summary>
internal static class DecoderSection
{
    /// <exception cref="KoalaException">The decoder is not ByteLevel, or Koala does not know a step.</exception>
    public static void Check(JsonSection root)
    {
        if (!Check(root.Section("decoder"), isByteLevel: false))
            throw root.Fault("decoder", "does not contain ByteLevel", "use a model with a byte-level BPE tokenizer");
    }

    // Returns whether the text has been turned into bytes after this step.
    private static bool Check(JsonSection step, bool isByteLevel)
    {
        switch (step.Text("type"))
        {
            case "Sequence":
                return step.Items("decoders").Aggregate(isByteLevel, (result, inner) => Check(inner, result));
            case "ByteLevel" when !isByteLevel:
                return true;
            // ByteLevel leaves one text. There is nothing left to join.
            case "Fuse" when isByteLevel:
            case "Strip" when step.OptionalNumber("start") is null or 0 && step.OptionalNumber("stop") is null or 0:
            case "Replace" when step.Section("pattern").OptionalText("String") is { } text && text == step.Text("content"):
                return isByteLevel;
            case var type:
                throw step.Unsupported("type", type);
        }
    }
}
