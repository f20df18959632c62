namespace Koala.Lab.Data;

/// <summary>Conversations packed into rows for training.</summary>
/// <param name="Rows">The rows, all of one length.</param>
/// <param name="Hash">The hash of what the rows were made from: the file, the tokenizer and the row length.</param>
/// <param name="Conversations">The number of conversations.</param>
/// <param name="Tokens">The number of their tokens in the rows, without padding.</param>
/// <param name="Cut">The number of conversations that were longer than a row and lost their end.</param>
/// <param name="Unusable">The number of chats of the file that were left out, since they cannot be used.</param>
/// <param name="FirstUnusable">The first of these with their lines, in words; empty if there is none.</param>
internal sealed record PackedConversations(
    IReadOnlyList<PackedRow> Rows, string Hash, int Conversations, long Tokens, int Cut, int Unusable = 0,
    string FirstUnusable = "")
{
    /// <summary>The number of tokens per row.</summary>
    public int RowLength => Rows[0].Tokens.Length;
}
