using System.Globalization;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>
/// A text in which every code point is one character, so that .NET's regular expressions see what Oniguruma sees.
/// </summary>
/// <remarks>
/// .NET matches UTF-16 units: a letter beyond the basic plane is two surrogates, and <c>\p{L}</c> matches neither of
/// them. Here a character of the same Unicode category from the basic plane replaces such a code point, and matches are
/// mapped back to the original text.
/// </remarks>
internal readonly struct CodePointText
{
    private readonly string _original;
    private readonly int[]? _starts;   // where each code point begins in the original; null: at the same index

    private CodePointText(string original, string characters, int[]? starts) =>
        (_original, Characters, _starts) = (original, characters, starts);

    /// <summary>The text that regular expressions are matched against.</summary>
    public string Characters { get; }

    /// <summary>Converts a text.</summary>
    /// <exception cref="ArgumentException">The text has a lone surrogate.</exception>
    public static CodePointText FromText(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\ud800', '\udfff') < 0) return new(text, text, null);
        var characters = new char[text.Length];
        var starts = new int[text.Length + 1];
        var count = 0;
        for (var i = 0; i < text.Length; count++)
        {
            var point = char.ConvertToUtf32(text, i);
            starts[count] = i;
            characters[count] = point > char.MaxValue ? StandIn(CharUnicodeInfo.GetUnicodeCategory(point)) : (char)point;
            i += point > char.MaxValue ? 2 : 1;
        }
        starts[count] = text.Length;
        return new(text, new string(characters, 0, count), starts);
    }

    /// <summary>The original text of a part of <see cref="Characters"/>.</summary>
    public string Original(int start, int end)
    {
        if (_starts is null) return start == 0 && end == _original.Length ? _original : _original[start..end];
        return _original[_starts[start].._starts[end]];
    }

    // The stand-ins are rare characters; no known pattern names one of them literally.
    private static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\ua640',
        UnicodeCategory.LowercaseLetter => '\ua641',
        UnicodeCategory.TitlecaseLetter => '\u1fbc',
        UnicodeCategory.ModifierLetter => '\ua717',
        UnicodeCategory.OtherLetter => '\ua4d0',
        UnicodeCategory.NonSpacingMark => '\ua6f0',
        UnicodeCategory.SpacingCombiningMark => '\ua823',
        UnicodeCategory.EnclosingMark => '\ua670',
        UnicodeCategory.DecimalDigitNumber => '\ua620',
        UnicodeCategory.LetterNumber => '\ua6e6',
        UnicodeCategory.OtherNumber => '\ua830',
        UnicodeCategory.ConnectorPunctuation => '\ufe33',
        UnicodeCategory.DashPunctuation => '\u301c',
        UnicodeCategory.OpenPunctuation => '\u2e22',
        UnicodeCategory.ClosePunctuation => '\u2e23',
        UnicodeCategory.InitialQuotePunctuation => '\u2e02',
        UnicodeCategory.FinalQuotePunctuation => '\u2e03',
        UnicodeCategory.OtherPunctuation => '\ua6f2',
        UnicodeCategory.MathSymbol => '\u29c0',
        UnicodeCategory.CurrencySymbol => '\ua838',
        UnicodeCategory.ModifierSymbol => '\ua700',
        UnicodeCategory.OtherSymbol => '\ua828',
        UnicodeCategory.Format => '\u206a',
        UnicodeCategory.PrivateUse => '\ue000',
        _ => '\ufff0',   // not assigned
    };
}
