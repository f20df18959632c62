namespace Koala.Lab.Text.Chat;

/// <summary>A complete chat and its source.</summary>
/// <param name="Id">What identifies the conversation in its file.</param>
/// <param name="Source">The source of its prompts.</param>
/// <param name="Licence">The licence of that source.</param>
/// <param name="Category">The kind of task.</param>
/// <param name="Messages">The messages in their order, at least one.</param>
/// <param name="Done">
/// Whether the last answer is complete. A head learns no end of turn from an answer that was cut off.
/// </param>
/// <param name="Line">The number of its line in the file, counted from 1; 0 if it is from no file.</param>
internal sealed record Conversation(
    string Id, string Source, string Licence, string Category, IReadOnlyList<Message> Messages, bool Done = true,
    int Line = 0);
