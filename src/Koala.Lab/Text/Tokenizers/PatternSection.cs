using System.Text.RegularExpressions;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the <c>pattern</c> of a step of tokenizer.json: a text or a regular expression.</summary>
internal static class PatternSection
{
    // Every real pattern processes megabytes within a second.
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(1);

    /// <exception cref="KoalaException">.NET does not know the pattern.</exception>
    public static Regex Read(JsonSection step)
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
            throw step.Fault("pattern",
                $"is no regular expression that .NET knows ({MessageText.Text(e.Message.TrimEnd('.'))})", "use another model", e);
        }
    }

    /// <summary>The fault of a pattern that takes too long on a text.</summary>
    public static KoalaException TooSlow(JsonSection step, string text, RegexMatchTimeoutException e) => step.Fault(
        "pattern",
        $"takes more than {e.MatchTimeout.TotalSeconds:0} s on a text of {text.Length} characters",
        "use a tokenizer with a simpler pattern", e);
}
