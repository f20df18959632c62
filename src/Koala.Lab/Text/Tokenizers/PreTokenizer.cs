using System.Text.RegularExpressions;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Cuts a text into the pieces that merges stay within.</summary>
/// <param name="steps">In order, each on the pieces of the one before; the last is that of ByteLevel.</param>
/// <param name="prefixSpace">Whether ByteLevel puts a space before each piece that begins without one.</param>
/// <param name="source">The file, for messages.</param>
internal sealed partial class PreTokenizer(IReadOnlyList<SplitStep> steps, bool prefixSpace, string source)
{
    /// <summary>GPT-2's pattern, which a ByteLevel pre-tokenizer has unless told otherwise.</summary>
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    public static partial Regex Gpt2Pattern { get; }

    /// <summary>Every digit, in Rust's sense of numeric.</summary>
    [GeneratedRegex(@"\p{N}")]
    public static partial Regex DigitPattern { get; }

    /// <summary>Matches nowhere: ByteLevel without a pattern.</summary>
    [GeneratedRegex("(?!)")]
    public static partial Regex NothingPattern { get; }

    /// <summary>The pieces of <paramref name="text"/> in order, none empty.</summary>
    /// <exception cref="KoalaException">A pattern runs wild.</exception>
    public IReadOnlyList<string> Pieces(string text)
    {
        try
        {
            var points = CodePointText.FromText(text);
            if (!prefixSpace) return Cut(points, steps);
            return
            [
                .. Cut(points, steps.Take(steps.Count - 1)).SelectMany(piece =>
                    Cut(CodePointText.FromText(piece.StartsWith(' ') ? piece : $" {piece}"), steps.Skip(steps.Count - 1))),
            ];
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new KoalaException($"{source}: pre_tokenizer", $"has a pattern that takes more than {e.MatchTimeout.TotalSeconds:0} s on a text of {text.Length} characters",
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
