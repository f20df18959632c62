namespace Koala.Lab.Data;

/// <summary>Conversations packed into rows to train on.</summary>
/// <param name="Rows">Rows of one length.</param>
/// <param name="Hash">Of what the rows were made from: the file, the tokenizer and the row length.</param>
/// <param name="Conversations">How many there are.</param>
/// <param name="Tokens">Their tokens in the rows, padding not counted.</param>
/// <param name="Cut">How many were longer than a row and lost their end.</param>
public sealed record PackedConversations(IReadOnlyList<PackedRow> Rows, string Hash, int Conversations, long Tokens, int Cut);
