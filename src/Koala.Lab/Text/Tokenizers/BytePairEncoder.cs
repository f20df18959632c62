using System.Collections.Concurrent;
using Microsoft.ML.Tokenizers;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Ids of single pieces, by byte-level BPE; used from many threads.</summary>
internal sealed class BytePairEncoder
{
    // Words repeat: with a memory, a chat of a thousand words costs as many look-ups. Full, it serves what it holds.
    private const int MostRemembered = 1 << 17;
    private const int LongestRemembered = 32;

    private readonly BpeTokenizer _tokenizer;
    private readonly IReadOnlyDictionary<string, int>? _whole;
    private readonly ConcurrentDictionary<string, int[]> _remembered = new();
    private int _count;

    /// <param name="parts">Vocabulary and merges; every merge's parts and result are in the vocabulary.</param>
    public BytePairEncoder(TokenizerParts parts)
    {
        _tokenizer = BpeTokenizer.Create(new BpeOptions(parts.Vocabulary) { Merges = parts.Merges.Select(m => $"{m.Left} {m.Right}") });
        _whole = parts.IgnoreMerges ? parts.Vocabulary : null;
    }

    /// <param name="piece">Text, not empty.</param>
    public int[] Encode(string piece)
    {
        if (_remembered.TryGetValue(piece, out var known)) return known;
        var spelled = ByteAlphabet.FromText(piece);
        int[] ids = _whole is not null && _whole.TryGetValue(spelled, out var id) ? [id]
            : [.. _tokenizer.EncodeToIds(spelled, considerPreTokenization: false, considerNormalization: false)];
        if (piece.Length <= LongestRemembered && Volatile.Read(ref _count) < MostRemembered && _remembered.TryAdd(piece, ids)) Interlocked.Increment(ref _count);
        return ids;
    }
}
