using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>Packs tokenized conversations into rows of a fixed length, so that a batch has little padding.</summary>
internal static class Packing
{
    /// <summary>
    /// Puts each conversation, in order, into the first row with room for it. The same input gives the same rows.
    /// </summary>
    /// <param name="conversations">The conversations; empty ones are left out.</param>
    /// <param name="rowLength">
    /// The number of tokens per row, at least 2. A longer conversation is cut at its end.
    /// </param>
    /// <exception cref="KoalaException">The row length is below 2.</exception>
    public static IReadOnlyList<PackedRow> Pack(IReadOnlyList<TokenizedConversation> conversations, int rowLength)
    {
        CheckRowLength(rowLength);
        var rows = new List<List<TokenizedConversation>>();
        var room = new FirstFit(conversations.Count, rowLength);
        foreach (var conversation in conversations)
        {
            if (conversation.Tokens.Length == 0) continue;
            var row = room.Take(Math.Min(conversation.Tokens.Length, rowLength));
            if (row == rows.Count) rows.Add([]);
            rows[row].Add(conversation);
        }
        return [.. rows.Select(row => Fill(row, rowLength))];
    }

    /// <exception cref="KoalaException">The row length is below 2.</exception>
    public static void CheckRowLength(int rowLength)
    {
        if (rowLength < 2)
            throw new KoalaException(
                "row length", $"is {rowLength}, but a row needs at least 2 tokens to learn from", "set it to 2 or more");
    }

    private static PackedRow Fill(List<TokenizedConversation> conversations, int length)
    {
        var row = new PackedRow(new int[length], new int[length], new int[length], new bool[length]);
        var start = 0;
        for (var segment = 0; segment <= conversations.Count; segment++)
        {
            // The last segment is padding: token 0, no loss.
            var count = length - start;
            if (segment < conversations.Count)
            {
                count = Math.Min(count, conversations[segment].Tokens.Length);
                conversations[segment].Tokens.AsSpan(0, count).CopyTo(row.Tokens.AsSpan(start));
                conversations[segment].LossMask.AsSpan(0, count).CopyTo(row.LossMask.AsSpan(start));
            }
            row.Segments.AsSpan(start, count).Fill(segment);
            for (var i = 0; i < count; i++) row.Positions[start + i] = i;
            start += count;
        }
        return row;
    }
}
