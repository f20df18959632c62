using System.Text;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>What becomes of characters that a vocabulary does not have: the tokens of their bytes, or the unknown token.</summary>
/// <param name="Unknown">The id of the unknown token; null leaves such characters out.</param>
/// <param name="FuseUnknown">Whether unknown characters in a row are one unknown token.</param>
/// <param name="Bytes">The ids of the byte tokens, by byte; empty if the vocabulary has none, -1 for a byte that it lacks.</param>
internal sealed record UnknownText(int? Unknown, bool FuseUnknown, IReadOnlyList<int> Bytes)
{
    /// <summary>Finds the byte tokens of a vocabulary.</summary>
    public static IReadOnlyList<int> BytesOf(IReadOnlyDictionary<string, int> vocabulary) =>
        [.. Enumerable.Range(0, 256).Select(value => vocabulary.GetValueOrDefault(TokenSpelling.ByteToken((byte)value), -1))];

    /// <summary>Adds the tokens of an unknown character to the tokens before it.</summary>
    /// <param name="character">The code point.</param>
    /// <param name="ids">The tokens so far.</param>
    public void Add(Rune character, List<int> ids)
    {
        Span<byte> utf8 = stackalloc byte[4];
        utf8 = utf8[..character.EncodeToUtf8(utf8)];
        if (Bytes.Count > 0 && HasAll(utf8)) foreach (var value in utf8) ids.Add(Bytes[value]);
        else if (Unknown is { } unknown && !(FuseUnknown && ids.Count > 0 && ids[^1] == unknown)) ids.Add(unknown);
    }

    private bool HasAll(ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
            if (Bytes[value] < 0) return false;
        return true;
    }
}
