using System.Text.RegularExpressions;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>A step of pre-tokenization, which cuts a piece at the matches of a pattern.</summary>
/// <remarks>The rules are those of the tokenizers library (normalizer.rs, split; pattern.rs, find_matches).</remarks>
internal sealed class SplitStep(Regex pattern, SplitBehaviour behaviour, bool invert = false)
{
    /// <summary>Adds the pieces of <c>text[start..end]</c> to <paramref name="pieces"/>, none of them empty.</summary>
    /// <exception cref="RegexMatchTimeoutException">The pattern takes too long.</exception>
    public void Split(string text, (int Start, int End) piece, List<(int Start, int End)> pieces)
    {
        var first = pieces.Count;
        // The pattern must not see anything outside the piece: a look-ahead ends where the piece ends.
        var span = text.AsSpan(piece.Start, piece.End - piece.Start);
        var end = piece.Start;
        var merge = false;
        foreach (var match in pattern.EnumerateMatches(span))
        {
            var start = piece.Start + match.Index;
            if (start > end) Add(pieces, first, (end, start), invert, ref merge);
            end = start + match.Length;
            Add(pieces, first, (start, end), !invert, ref merge);
        }
        if (end < piece.End) Add(pieces, first, (end, piece.End), invert, ref merge);
        // An empty match separates what is around it, but is not a piece itself.
        var kept = first;
        for (var i = first; i < pieces.Count; i++)
            if (pieces[i].Start < pieces[i].End) pieces[kept++] = pieces[i];
        pieces.RemoveRange(kept, pieces.Count - kept);
    }

    // merge says whether the next part may be joined to this one; what that depends on differs with the behaviour.
    private void Add(List<(int Start, int End)> pieces, int first, (int Start, int End) part, bool isMatch, ref bool merge)
    {
        switch (behaviour)
        {
            case SplitBehaviour.Removed when isMatch:
                break;
            case SplitBehaviour.MergedWithPrevious:
                if (isMatch && merge) pieces[^1] = (pieces[^1].Start, part.End);
                else pieces.Add(part);
                merge = !isMatch;
                break;
            case SplitBehaviour.MergedWithNext:
                // The last of several matches is joined to what follows it.
                if (!isMatch && merge) pieces[^1] = (pieces[^1].Start, part.End);
                else pieces.Add(part);
                merge = isMatch;
                break;
            case SplitBehaviour.Contiguous:
                if (pieces.Count > first && isMatch == merge) pieces[^1] = (pieces[^1].Start, part.End);
                else pieces.Add(part);
                merge = isMatch;
                break;
            default:
                pieces.Add(part);
                break;
        }
    }
}
