using System.Text;
using System.Text.RegularExpressions;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the <c>normalizer</c> of tokenizer.json.</summary>
internal static class NormalizerSection
{
    /// <exception cref="KoalaException">Koala does not know a step.</exception>
    public static Normalizer Read(JsonSection root)
    {
        var steps = new List<Func<string, TextPosition, string>>();
        if (root.OptionalSection("normalizer") is { } section) Add(section, steps);
        return steps.Count == 0 ? Normalizer.None : new Normalizer(steps);
    }

    private static void Add(JsonSection step, List<Func<string, TextPosition, string>> steps)
    {
        switch (step.Text("type"))
        {
            case "Sequence":
                foreach (var inner in step.Items("normalizers")) Add(inner, steps);
                break;
            case "NFC":
                steps.Add((text, _) => Normalizer.Compose(text));
                break;
            case "NFD":
                steps.Add((text, _) => Normalizer.Decompose(text));
                break;
            case "NFKC":
                steps.Add((text, _) => Normalizer.Compose(CompatibilityForms.Replace(text)));
                break;
            case "NFKD":
                steps.Add((text, _) => Normalizer.Decompose(CompatibilityForms.Replace(text)));
                break;
            case "Precompiled":
                var map = ReadMap(step);
                steps.Add((text, _) => map.ReplaceClusters(text));
                break;
            case "Lowercase":
                steps.Add((text, _) => Normalizer.Lower(text));
                break;
            case "Prepend":
                var prefix = step.Text("prepend");
                steps.Add((text, position) => text.Length == 0 || position == TextPosition.Within ? text : prefix + text);
                break;
            case "Strip":
                var (left, right) = (step.Boolean("strip_left", false), step.Boolean("strip_right", false));
                if (left) steps.Add((text, _) => text.TrimStart());
                if (right) steps.Add((text, _) => text.TrimEnd());
                break;
            case "Replace":
                var (pattern, content) = (PatternSection.Read(step), step.Text("content"));
                steps.Add((text, _) => Replace(step, text, pattern, content));
                break;
            case var type:
                throw step.Unsupported("type", type);
        }
    }

    private static CharacterMap ReadMap(JsonSection step)
    {
        const string key = "precompiled_charsmap";
        var text = step.Text(key);
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var length) && CharacterMap.TryRead(bytes.AsSpan(0, length)) is { } map
            ? map
            : throw step.Fault(key, "is no table of replaced characters in base64", "get the file again");
    }

    private static string Replace(JsonSection step, string text, Regex pattern, string content)
    {
        try
        {
            var points = CodePointText.FromText(text);
            var result = new StringBuilder();
            var from = 0;
            foreach (var match in pattern.EnumerateMatches(points.Characters))
            {
                result.Append(points.Original(from, match.Index)).Append(content);
                from = match.Index + match.Length;
            }
            return result.Append(points.Original(from, points.Characters.Length)).ToString();
        }
        catch (RegexMatchTimeoutException e)
        {
            throw PatternSection.TooSlow(step, text, e);
        }
    }
}
