using System.Text.RegularExpressions;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Cuts a text into pieces. Merges do not cross the boundaries of pieces.</summary>
/// <param name="steps">The steps in order, each of which gets the pieces of the one before it.</param>
/// <param name="source">The file, for error messages.</param>
internal sealed partial class PreTokenizer(IReadOnlyList<PieceStep> steps, string source)
{
    /// <summary>GPT-2's pattern, which is the default of a ByteLevel pre-tokenizer.</summary>
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    public static partial Regex Gpt2Pattern { get; }

    /// <summary>The pattern of a digit, in Rust's sense of numeric.</summary>
    [GeneratedRegex(@"\p{N}")]
    public static partial Regex DigitPattern { get; }

    /// <summary>A pattern that never matches, for a ByteLevel pre-tokenizer without a pattern.</summary>
    [GeneratedRegex("(?!)")]
    public static partial Regex NothingPattern { get; }

    /// <summary>The pattern of the character that stands for a space.</summary>
    [GeneratedRegex(TokenSpelling.SpaceMark)]
    public static partial Regex SpaceMarkPattern { get; }

    /// <summary>The pieces of <paramref name="text"/> in order, none of them empty.</summary>
    /// <param name="text">The text.</param>
    /// <param name="position">Where the text stands.</param>
    /// <exception cref="KoalaException">A pattern takes too long.</exception>
    public IReadOnlyList<string> Pieces(string text, TextPosition position)
    {
        try
        {
            List<string> pieces = text.Length == 0 ? [] : [text];
            for (var i = 0; i < steps.Count;)
            {
                if (steps[i].Change is { } change)
                    pieces = [.. pieces.Select((piece, at) => change(piece, at > 0 ? TextPosition.AfterAddedToken : position))];
                // The steps that only cut see the text as one.
                var cuts = new List<SplitStep>();
                do
                {
                    if (steps[i].Split is { } split) cuts.Add(split);
                }
                while (++i < steps.Count && steps[i].Change is null);
                if (cuts.Count > 0) pieces = [.. pieces.SelectMany(piece => Cut(CodePointText.FromText(piece), cuts))];
            }
            return pieces;
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new KoalaException(
                $"{source}: pre_tokenizer",
                $"has a pattern that takes more than {e.MatchTimeout.TotalSeconds:0} s on a text of {text.Length} characters",
                "use a tokenizer with a simpler pattern", e);
        }
    }

    private static List<string> Cut(CodePointText text, IEnumerable<SplitStep> steps)
    {
        var pieces = new List<(int Start, int End)>();
        if (text.Characters.Length > 0) pieces.Add((0, text.Characters.Length));
        foreach (var step in steps)
        {
            var finer = new List<(int Start, int End)>();
            foreach (var piece in pieces) step.Split(text.Characters, piece, finer);
            pieces = finer;
        }
        return [.. pieces.Select(p => text.Original(p.Start, p.End))];
    }
}
