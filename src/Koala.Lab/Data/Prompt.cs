using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>A prompt of one or several turns.</summary>
/// <param name="Id">What identifies the prompt in its file.</param>
/// <param name="Category">The kind of task; empty where the file does not name it.</param>
/// <param name="Turns">The user's turns in order, at least one.</param>
/// <param name="Messages">
/// The conversation so far, where the file holds one. It ends with the user's last message and may hold system and
/// assistant messages.
/// </param>
/// <param name="Raw">
/// Whether the target gets the text as it is, without the chat template. The default is false.
/// </param>
public sealed record Prompt(
    string Id, string Category, IReadOnlyList<string> Turns, IReadOnlyList<Message>? Messages, bool Raw = false);
