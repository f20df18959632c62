namespace Koala.Lab.Text.Chat;

/// <summary>A whole chat with where it comes from.</summary>
/// <param name="Id">Names the conversation in its file.</param>
/// <param name="Source">Where its prompts come from.</param>
/// <param name="Licence">The licence of that source.</param>
/// <param name="Category">What kind of task it is.</param>
/// <param name="Messages">In the order spoken, at least one.</param>
/// <param name="Done">Whether the last answer came to its end; one that was cut off teaches no end of turn.</param>
public sealed record Conversation(string Id, string Source, string Licence, string Category, IReadOnlyList<Message> Messages, bool Done = true);
