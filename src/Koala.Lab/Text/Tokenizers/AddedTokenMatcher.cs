using System.Buffers;
using System.Globalization;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>
/// Cuts a text at the added tokens in it: the leftmost one first, and the longest one if several begin at the same
/// position.
/// </summary>
/// <remarks>
/// The rules are those of the tokenizers library (added_vocabulary.rs, find_matches), including strips and single
/// words.
/// </remarks>
internal sealed class AddedTokenMatcher
{
    private readonly SearchValues<string>? _contents;
    private readonly AddedToken[] _longestFirst;

    public AddedTokenMatcher(IEnumerable<AddedToken> tokens)
    {
        _longestFirst = [.. tokens.OrderByDescending(t => t.Content.Length)];
        if (_longestFirst.Length > 0)
            _contents = SearchValues.Create([.. _longestFirst.Select(t => t.Content)], StringComparison.Ordinal);
    }

    /// <summary>
    /// The parts of <paramref name="text"/> in order, none of them empty, with an id where the part is an added token.
    /// </summary>
    public IEnumerable<(string Text, int? Id)> Split(string text)
    {
        var from = 0;
        var search = 0;
        while (Next(text, search) is { } found)
        {
            var (start, token) = found;
            var end = search = start + token.Content.Length;
            if (token.SingleWord && (IsWordBefore(text, start) || IsWordAt(text, end))) continue;
            if (token.LeftStrip)
                while (start > from && char.IsWhiteSpace(text[start - 1])) start--;
            if (token.RightStrip)
                while (end < text.Length && char.IsWhiteSpace(text[end])) end++;
            // The previous token may have taken white space that this token begins with; only the rest of it belongs to
            // this token.
            start = Math.Max(start, from);
            end = Math.Max(end, start);
            if (start > from) yield return (text[from..start], null);
            yield return (text[start..end], token.Id);
            from = end;
        }
        if (from < text.Length) yield return (from == 0 ? text : text[from..], null);
    }

    private (int Start, AddedToken Token)? Next(string text, int search)
    {
        if (_contents is null) return null;
        var rest = text.AsSpan(search);
        var start = rest.IndexOfAny(_contents);
        if (start < 0) return null;
        foreach (var token in _longestFirst)
            if (rest[start..].StartsWith(token.Content, StringComparison.Ordinal)) return (search + start, token);
        return null;
    }

    private static bool IsWordBefore(string text, int end) =>
        end > 0 && IsWord(char.IsLowSurrogate(text[end - 1]) && end > 1
            ? CharUnicodeInfo.GetUnicodeCategory(text, end - 2)
            : CharUnicodeInfo.GetUnicodeCategory(text[end - 1]));

    private static bool IsWordAt(string text, int start) =>
        start < text.Length && IsWord(CharUnicodeInfo.GetUnicodeCategory(text, start));

    private static bool IsWord(UnicodeCategory category) => category
        is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
        or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber
        or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
        or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.ConnectorPunctuation;
}
