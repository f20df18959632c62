using Koala.Lab.Data;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Training;

/// <summary>Holds out a part of the data for validation, where no file is given for it.</summary>
internal static class HoldOut
{
    // From so many rows on, one of fifty is enough.
    private const int ManyRows = 500;
    private const int EveryOfMany = 50;
    private const int EveryOfFew = 10;
    private const string OfFew = "+tenth";

    /// <summary>
    /// Holds out every fiftieth row of a large file. Of a small file it holds out every tenth conversation with
    /// something to learn, at least one, and packs the others again.
    /// </summary>
    /// <returns>
    /// The rows for training and for validation, and the hash of both. Either list is empty if there are too few
    /// conversations.
    /// </returns>
    public static (IReadOnlyList<PackedRow> Training, IReadOnlyList<PackedRow> Validation, string Hash) Split(PackedConversations data)
    {
        if (data.Rows.Count >= ManyRows)
        {
            var (most, few) = Divide(data.Rows, EveryOfMany);
            return (most, few, data.Hash);
        }
        TokenizedConversation[] learnable = [.. data.Rows.SelectMany(Unpack).Where(c => c.LossMask.Contains(true))];
        var (training, validation) = Divide(learnable, Math.Clamp(learnable.Length, 1, EveryOfFew));
        // An earlier version held out rows of such a file as well, so the hash differs from that version's.
        return (Packing.Pack(training, data.RowLength), Packing.Pack(validation, data.RowLength), data.Hash + OfFew);
    }

    /// <summary>Whether the data are those of an earlier version, which held out rows of small files too.</summary>
    /// <param name="hash">The hash of the data now.</param>
    /// <param name="earlier">The hash that a run was begun with.</param>
    public static bool DividedOtherwise(string hash, string earlier) => hash == earlier + OfFew;

    private static (T[] Most, T[] Few) Divide<T>(IReadOnlyList<T> items, int every) =>
        ([.. items.Where((_, i) => i % every != every - 1)], [.. items.Where((_, i) => i % every == every - 1)]);

    private static IEnumerable<TokenizedConversation> Unpack(PackedRow row)
    {
        for (var start = 0; start < row.Tokens.Length;)
        {
            var length = row.Segments.AsSpan(start).IndexOfAnyExcept(row.Segments[start]) is var found and >= 0
                ? found
                : row.Tokens.Length - start;
            yield return new TokenizedConversation(row.Tokens[start..(start + length)], row.LossMask[start..(start + length)]);
            start += length;
        }
    }
}
