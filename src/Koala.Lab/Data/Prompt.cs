using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>A prompt of one or several turns.</summary>
/// <param name="Id">Names it in its file.</param>
/// <param name="Category">What kind of task it is; empty where the file does not say.</param>
/// <param name="Turns">What the user says, turn by turn, at least one.</param>
/// <param name="Messages">The conversation so far, where the file holds one: it ends with the user's last message and may hold system and assistant messages.</param>
/// <param name="Raw">Whether the text goes to the target as it is, without the chat template. Default false.</param>
public sealed record Prompt(string Id, string Category, IReadOnlyList<string> Turns, IReadOnlyList<Message>? Messages, bool Raw = false);
