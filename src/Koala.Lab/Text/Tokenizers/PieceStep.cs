namespace Koala.Lab.Text.Tokenizers;

/// <summary>A step of a pre-tokenizer: it may change each piece, and then may cut it.</summary>
/// <param name="Split">How the piece is cut; null leaves it whole.</param>
/// <param name="Change">What is done to the piece first, given where it stands; null changes nothing.</param>
internal sealed record PieceStep(SplitStep? Split, Func<string, TextPosition, string>? Change = null)
{
    private static readonly SplitStep s_atSpaces = new(PreTokenizer.SpaceMarkPattern, SplitBehaviour.MergedWithNext);

    /// <summary>ByteLevel's: it puts a space before each piece that begins without one, if the file says so.</summary>
    public static PieceStep ByteLevel(bool hasPattern, bool prefixSpace)
    {
        var split = new SplitStep(hasPattern ? PreTokenizer.Gpt2Pattern : PreTokenizer.NothingPattern, SplitBehaviour.Isolated);
        return new(split, prefixSpace
            ? (piece, position) => position == TextPosition.Within || piece.StartsWith(' ') ? piece : $" {piece}"
            : null);
    }

    /// <summary>Metaspace: spaces become ▁, each piece may get one before it, and pieces may begin at each.</summary>
    /// <param name="prefix">Says whether a piece gets one, given where it stands.</param>
    /// <param name="split">Whether a piece begins at each ▁.</param>
    public static PieceStep Metaspace(Func<TextPosition, bool> prefix, bool split) => new(split ? s_atSpaces : null, (piece, position) =>
    {
        var marked = piece.Replace(" ", TokenSpelling.SpaceMark, StringComparison.Ordinal);
        var isComplete = !prefix(position) || marked.StartsWith(TokenSpelling.SpaceMark, StringComparison.Ordinal);
        return isComplete ? marked : TokenSpelling.SpaceMark + marked;
    });
}
