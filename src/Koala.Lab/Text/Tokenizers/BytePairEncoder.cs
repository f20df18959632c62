using System.Collections.Concurrent;
using Microsoft.ML.Tokenizers;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Encodes single pieces by byte-level BPE. It is safe to use from many threads.</summary>
internal sealed class BytePairEncoder
{
    // Words repeat, so a chat of a thousand words mostly costs a thousand look-ups in the cache. A full cache takes no
    // more pieces.
    private const int MaxCachedPieces = 1 << 17;
    private const int MaxCachedLength = 32;

    private readonly BpeTokenizer _tokenizer;
    private readonly IReadOnlyDictionary<string, int>? _vocabulary;   // null: merges are never ignored
    private readonly ConcurrentDictionary<string, int[]> _cache = new();
    private int _count;

    /// <param name="parts">
    /// The vocabulary and the merges. The parts and the result of every merge are in the vocabulary.
    /// </param>
    public BytePairEncoder(TokenizerParts parts)
    {
        // Of a pair that is listed twice the last one counts.
        var merges = parts.Merges.Reverse().Distinct().Reverse().Select(m => $"{m.Left} {m.Right}");
        _tokenizer = BpeTokenizer.Create(new BpeOptions(parts.Vocabulary) { Merges = merges });
        _vocabulary = parts.IgnoreMerges ? parts.Vocabulary : null;
    }

    /// <summary>The ids of a piece.</summary>
    /// <param name="piece">The text of the piece, not empty.</param>
    public int[] Encode(string piece)
    {
        if (_cache.TryGetValue(piece, out var known)) return known;
        var characters = ByteAlphabet.FromText(piece);
        int[] ids = _vocabulary is not null && _vocabulary.TryGetValue(characters, out var id)
            ? [id]
            : [.. _tokenizer.EncodeToIds(characters, considerPreTokenization: false, considerNormalization: false)];
        var hasRoom = piece.Length <= MaxCachedLength && Volatile.Read(ref _count) < MaxCachedPieces;
        if (hasRoom && _cache.TryAdd(piece, ids)) Interlocked.Increment(ref _count);
        return ids;
    }
}
