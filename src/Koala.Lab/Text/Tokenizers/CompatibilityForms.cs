using System.Globalization;
using System.Text;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Unicode's compatibility mappings: what NFKC and NFKD do beside NFC and NFD.</summary>
/// <remarks>
/// .NET does not know them where globalization is invariant. <c>compatibility-forms.py</c> writes the table: a line for each character, how
/// far its code point is behind that of the line before, in hexadecimal, then what it becomes; or a line for several that follow one
/// another and become what follows the form before, with their number.
/// </remarks>
internal static class CompatibilityForms
{
    private const char First = '\u00a0';   // no character before it has a mapping

    private static readonly Lazy<Dictionary<Rune, string>> s_forms = new(() =>
    {
        var forms = new Dictionary<Rune, string>();
        var (point, form) = (0, "");
        foreach (var line in EmbeddedFile.Read("compatibility-forms.txt.gz").Split('\n'))
        {
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            var number = int.Parse(space < 0 ? line : line.AsSpan(0, space), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (space >= 0) forms.Add(new Rune(point += number), form = line[(space + 1)..]);
            else
                for (; number > 0; number--)
                    forms.Add(new Rune(++point), form = new Rune(Rune.GetRuneAt(form, 0).Value + 1).ToString());
        }
        return forms;
    });

    /// <summary>The text with each character replaced by its composed compatibility form, where it has one.</summary>
    public static string Replace(string text)
    {
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', (char)(First - 1)) < 0) return text;
        var result = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            result.Append(s_forms.Value.TryGetValue(rune, out var form) ? form : rune.ToString());
        return result.ToString();
    }
}
