namespace Koala.Lab.Text.Tokenizers;

/// <summary>Byte-pair encoding: a piece begins as its characters, and pairs of tokens are merged.</summary>
/// <param name="vocabulary">The ids by token.</param>
/// <param name="merges">The pairs that are merged.</param>
/// <param name="unknown">What becomes of characters outside the vocabulary.</param>
/// <param name="isByteLevel">Whether the characters are those of a piece's bytes (<see cref="ByteAlphabet"/>).</param>
/// <param name="ignoreMerges">Whether a piece that is a token becomes that token, whatever the merges say.</param>
internal sealed class BytePairEncoder(
    IReadOnlyDictionary<string, int> vocabulary, PairMerges merges, UnknownText unknown, bool isByteLevel, bool ignoreMerges)
    : IPieceEncoder
{
    /// <inheritdoc/>
    public int[] Encode(string piece)
    {
        var text = isByteLevel ? ByteAlphabet.FromText(piece) : piece;
        if (ignoreMerges && vocabulary.TryGetValue(text, out var whole)) return [whole];
        var ids = new List<int>(text.Length);
        foreach (var character in text.EnumerateRunes())
            if (vocabulary.TryGetValue(character.ToString(), out var id)) ids.Add(id);
            else unknown.Add(character, ids);
        return merges.Apply(ids);
    }
}
