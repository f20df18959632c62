using System.Collections.Concurrent;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Keeps the tokens of short pieces, because words repeat: a chat of a thousand words mostly costs a thousand look-ups.</summary>
/// <param name="encoder">What encodes the pieces that are not known yet.</param>
internal sealed class PieceCache(IPieceEncoder encoder) : IPieceEncoder
{
    // A full cache takes no more pieces.
    private const int MaxPieces = 1 << 17;
    private const int MaxLength = 32;

    private readonly ConcurrentDictionary<string, int[]> _known = new();
    private int _count;

    /// <inheritdoc/>
    public int[] Encode(string piece)
    {
        if (_known.TryGetValue(piece, out var known)) return known;
        var ids = encoder.Encode(piece);
        var hasRoom = piece.Length <= MaxLength && Volatile.Read(ref _count) < MaxPieces;
        if (hasRoom && _known.TryAdd(piece, ids)) Interlocked.Increment(ref _count);
        return ids;
    }
}
