namespace Koala.Lab.Text.Chat;

/// <summary>A conversation as the target sees it, and what of it a head learns from.</summary>
/// <param name="Tokens">The ids of the rendered conversation, [T].</param>
/// <param name="LossMask">True where the assistant speaks: its content and its end-of-turn token, not its header, [T].</param>
public sealed record TokenizedConversation(int[] Tokens, bool[] LossMask);
