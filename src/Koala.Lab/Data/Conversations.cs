using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>Reads files of whole chats.</summary>
public static class Conversations
{
    /// <summary>
    /// Reads lines of <c>messages</c> (objects with <c>role</c> and <c>content</c>) and, where given, <c>id</c> (else the line number),
    /// <c>source</c>, <c>licence</c>, <c>category</c> (else empty) and <c>done</c> (else true).
    /// </summary>
    /// <param name="path">A .jsonl file, or .jsonl.gz.</param>
    /// <exception cref="KoalaException">The file cannot be read or is empty, or a line is not of this form (file:line).</exception>
    public static IReadOnlyList<Conversation> Load(string path) =>
    [
        .. JsonLines.Read(path).Select(line => new Conversation(
            line.Row.OptionalText("id") ?? $"{line.Line}",
            line.Row.OptionalText("source") ?? "",
            line.Row.OptionalText("licence") ?? "",
            line.Row.OptionalText("category") ?? "",
            MessageList.Read(line.Row),
            line.Row.Switch("done", true))),
    ];
}
