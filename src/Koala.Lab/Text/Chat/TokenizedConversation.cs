namespace Koala.Lab.Text.Chat;

/// <summary>The tokens of a conversation, and which of them a head learns from.</summary>
/// <param name="Tokens">The ids of the rendered conversation, [T].</param>
/// <param name="LossMask">
/// True at the assistant's tokens: the content and the end-of-turn token, but not the header, [T].
/// </param>
internal sealed record TokenizedConversation(int[] Tokens, bool[] LossMask);
