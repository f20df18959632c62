using System.Text;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>A unigram model: of all ways to cut a piece into tokens, the one with the highest sum of scores.</summary>
/// <remarks>The rules are those of the tokenizers library (unigram/model.rs), which are SentencePiece's.</remarks>
internal sealed class UnigramEncoder : IPieceEncoder
{
    // What an unknown character costs beyond the worst token.
    private const double UnknownPenalty = 10;

    private readonly Dictionary<string, (int Id, double Score)>.AlternateLookup<ReadOnlySpan<char>> _known;
    private readonly UnknownText _unknown;
    private readonly int _longest;
    private readonly double _unknownScore;

    /// <param name="tokens">The tokens that text can become, with their ids and scores (logarithms of probabilities).</param>
    /// <param name="unknown">What becomes of characters outside the vocabulary.</param>
    public UnigramEncoder(Dictionary<string, (int Id, double Score)> tokens, UnknownText unknown)
    {
        _unknown = unknown;
        _known = tokens.GetAlternateLookup<ReadOnlySpan<char>>();
        _longest = tokens.Keys.Select(token => token.Length).DefaultIfEmpty().Max();
        _unknownScore = tokens.Values.Select(token => token.Score).DefaultIfEmpty().Min() - UnknownPenalty;
    }

    /// <inheritdoc/>
    public int[] Encode(string piece)
    {
        var best = new (double Score, int From, int Id)[piece.Length + 1];
        Array.Fill(best, (double.NegativeInfinity, -1, -1));
        best[0].Score = 0;
        for (var start = 0; start < piece.Length;)
        {
            Rune.DecodeFromUtf16(piece.AsSpan(start), out _, out var width);
            var hasOne = false;
            for (var length = width; length <= Math.Min(_longest, piece.Length - start); length++)
            {
                if (!_known.TryGetValue(piece.AsSpan(start, length), out var token)) continue;
                hasOne |= length == width;
                Offer(best, start, length, token.Score, token.Id);
            }
            if (!hasOne) Offer(best, start, width, _unknownScore, -1);
            start += width;
        }

        var cuts = new Stack<(int From, int Id)>();
        for (var end = piece.Length; end > 0; end = best[end].From) cuts.Push((best[end].From, best[end].Id));
        var ids = new List<int>();
        foreach (var (from, id) in cuts)
            if (id >= 0) ids.Add(id);
            else _unknown.Add(Rune.GetRuneAt(piece, from), ids);
        return [.. ids];
    }

    private static void Offer((double Score, int From, int Id)[] best, int start, int length, double score, int id)
    {
        var sum = best[start].Score + score;
        if (sum > best[start + length].Score) best[start + length] = (sum, start, id);
    }
}
