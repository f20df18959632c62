using System.Text.RegularExpressions;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>The kinds of pieces of a SentencePiece model, with the numbers that stand for them in its files and in GGUF files.</summary>
internal enum PieceKind
{
    Normal = 1, Unknown, Control, UserDefined, Unused, SingleByte,
}

/// <summary>A SentencePiece model, whichever kind of file it comes from: its pieces by id, and what is done to text before.</summary>
/// <param name="Pieces">The pieces.</param>
internal sealed partial record SentencePieces(IReadOnlyList<(string Text, float Score, PieceKind Kind)> Pieces)
{
    /// <summary>Whether the model is a unigram model; otherwise it merges pairs.</summary>
    public bool IsUnigram { get; init; }

    /// <summary>Whether unknown characters become the tokens of their bytes.</summary>
    public bool HasByteFallback { get; init; } = true;

    /// <summary>The characters that are replaced before anything else is done to a text; null if none are.</summary>
    public CharacterMap? CharacterMap { get; init; }

    /// <summary>Whether spaces in a row become one space, and those at both ends none.</summary>
    public bool RemovesExtraSpaces { get; init; }

    /// <summary>Says before which texts a space is put.</summary>
    public Func<TextPosition, bool> Prefix { get; init; } = position => position != TextPosition.Within;

    [GeneratedRegex(" +")]
    private static partial Regex SpacesPattern { get; }

    /// <summary>How the pieces write text.</summary>
    public TokenSpelling Spelling =>
        TokenSpelling.SentencePiece with { Leading = Prefix(TextPosition.Start) ? LeadingSpaces.DropOne : LeadingSpaces.Keep };

    /// <summary>What is done to the text first.</summary>
    public Normalizer Normalizer => new([(text, position) =>
    {
        if (CharacterMap is { } map) text = map.ReplaceLongest(text);
        if (RemovesExtraSpaces)
        {
            text = SpacesPattern.Replace(text, " ").TrimEnd(' ');
            if (position != TextPosition.Within) text = text.TrimStart(' ');
        }
        if (text.Length == 0) return text;
        var marked = text.Replace(" ", TokenSpelling.SpaceMark, StringComparison.Ordinal);
        return Prefix(position) ? TokenSpelling.SpaceMark + marked : marked;
    }]);

    /// <summary>The added tokens: those that stand for something other than text, and those that the model's maker has defined.</summary>
    /// <param name="areNormalized">Whether the latter are looked for in the normalized text.</param>
    public IEnumerable<AddedToken> AddedTokens(bool areNormalized)
    {
        for (var id = 0; id < Pieces.Count; id++)
        {
            var (text, _, kind) = Pieces[id];
            if (kind is PieceKind.Control or PieceKind.Unknown) yield return new AddedToken(id, text, Special: true);
            else if (kind is PieceKind.UserDefined) yield return new AddedToken(id, text, Special: false, Normalized: areNormalized);
        }
    }

    /// <summary>Makes the model.</summary>
    public IPieceEncoder Encoder()
    {
        var scores = new Dictionary<string, (int Id, float Score)>();
        for (var id = 0; id < Pieces.Count; id++)
            if (Pieces[id] is { Kind: PieceKind.Normal, Text.Length: > 0 } piece) scores.TryAdd(piece.Text, (id, piece.Score));
        int? unknownId = null;
        var bytes = Enumerable.Repeat(-1, 256).ToArray();
        for (var id = 0; id < Pieces.Count; id++)
            if (Pieces[id].Kind == PieceKind.Unknown) unknownId ??= id;
            else if (Pieces[id].Kind == PieceKind.SingleByte && TokenSpelling.ByteOf(Pieces[id].Text) is { } value) bytes[value] = id;
        var unknown = new UnknownText(unknownId, FuseUnknown: true, HasByteFallback ? bytes : []);
        if (IsUnigram) return new UnigramEncoder(scores.ToDictionary(t => t.Key, t => (t.Value.Id, (double)t.Value.Score)), unknown);
        var ids = scores.ToDictionary(token => token.Key, token => token.Value.Id);
        return new BytePairEncoder(ids, PairMerges.FromScores(scores), unknown, isByteLevel: false, ignoreMerges: false);
    }
}
