using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>Reads files of complete chats.</summary>
internal static class Conversations
{
    /// <summary>
    /// Reads lines with <c>messages</c> (objects with <c>role</c> and <c>content</c>). Optional are <c>id</c> (default:
    /// the line number), <c>source</c>, <c>licence</c> and <c>category</c> (default: empty) and <c>done</c> (default:
    /// true).
    /// </summary>
    /// <param name="path">A .jsonl file, or .jsonl.gz.</param>
    /// <exception cref="KoalaException">
    /// The file cannot be read or is empty, or a line is not of this form (file:line).
    /// </exception>
    public static IReadOnlyList<Conversation> Load(string path) =>
    [
        .. JsonLines.Read(path).Select(line => new Conversation(
            line.Row.OptionalText("id") ?? $"{line.Line}",
            line.Row.OptionalText("source") ?? "",
            line.Row.OptionalText("licence") ?? "",
            line.Row.OptionalText("category") ?? "",
            MessageList.Read(line.Row),
            line.Row.Boolean("done", true))),
    ];
}
