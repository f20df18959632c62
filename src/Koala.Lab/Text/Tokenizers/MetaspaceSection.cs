using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads a Metaspace step of tokenizer.json, which is a pre-tokenizer and a decoder.</summary>
internal static class MetaspaceSection
{
    /// <summary>Says before which texts the step puts a space.</summary>
    /// <exception cref="KoalaException">The step writes spaces in another way, or Koala does not know its scheme.</exception>
    public static Func<TextPosition, bool> Prefix(JsonSection step)
    {
        if (step.OptionalText("replacement") is { } mark && mark != TokenSpelling.SpaceMark) throw step.Unsupported("replacement", mark);
        // Older files have a switch in place of the scheme.
        var scheme = step.OptionalText("prepend_scheme") ?? (step.Boolean("add_prefix_space", true) ? "always" : "never");
        return scheme switch
        {
            "always" => position => position != TextPosition.Within,
            "first" => position => position == TextPosition.Start,
            "never" => _ => false,
            _ => throw step.Unsupported("prepend_scheme", scheme),
        };
    }
}
