using System.Text.RegularExpressions;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>One step of pre-tokenization: cuts a piece at the matches of a pattern.</summary>
/// <remarks>The rules are those of the tokenizers library (normalizer.rs, split; pattern.rs, find_matches).</remarks>
internal sealed class SplitStep(Regex pattern, SplitBehaviour behaviour, bool invert = false)
{
    /// <summary>Adds the pieces of <c>text[start..end]</c> to <paramref name="pieces"/>, none empty.</summary>
    /// <exception cref="RegexMatchTimeoutException">The pattern runs wild.</exception>
    public void Split(string text, (int Start, int End) piece, List<(int Start, int End)> pieces)
    {
        var first = pieces.Count;
        // Nothing outside the piece may be seen: a look-ahead ends where the piece ends.
        var span = text.AsSpan(piece.Start, piece.End - piece.Start);
        var at = piece.Start;
        var merge = false;
        foreach (var match in pattern.EnumerateMatches(span))
        {
            var start = piece.Start + match.Index;
            if (start > at) Add(pieces, first, (at, start), invert, ref merge);
            at = start + match.Length;
            Add(pieces, first, (start, at), !invert, ref merge);
        }
        if (at < piece.End) Add(pieces, first, (at, piece.End), invert, ref merge);
        // An empty match parts what stands around it and is then no piece itself.
        var kept = first;
        for (var i = first; i < pieces.Count; i++)
            if (pieces[i].Start < pieces[i].End) pieces[kept++] = pieces[i];
        pieces.RemoveRange(kept, pieces.Count - kept);
    }

    // merge carries from part to part whether the next one may join: see each behaviour.
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
                // The last of several matches joins what follows.
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
