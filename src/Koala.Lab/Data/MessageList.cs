using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>Reads the <c>messages</c> of a line. A content that is a list of texts, as chat services write it, is joined.</summary>
internal static class MessageList
{
    /// <param name="row">The line.</param>
    /// <param name="withAnswers">Whether the messages of the assistant are read; otherwise they are left out.</param>
    /// <exception cref="KoalaException">There are no messages, or one lacks its role or a content of text.</exception>
    public static IReadOnlyList<Message> Read(JsonSection row, bool withAnswers = true)
    {
        const string Fix = "give a list of objects with role and content";
        if (!row.Has("messages")) throw OtherFormats.Missing(row, "messages", "is missing", Fix);
        var items = row.Items("messages");
        if (items.Count == 0) throw row.Fault("messages", "is empty", Fix);
        return [.. items.Where(m => withAnswers || m.Text("role") != Message.Assistant).Select(Read)];
    }

    private static Message Read(JsonSection message) => new(message.Text("role"), message.Find("content") switch
    {
        { ValueKind: JsonValueKind.Array } => string.Concat(message.Items("content").Select(TextOf)),
        null when message.Has("tool_calls") => throw message.Fault(
            "content", "is missing beside tool_calls, which a head cannot learn", "leave the chat out, or write the calls as text"),
        _ => message.Text("content"),
    });

    private static string TextOf(JsonSection part) => part.OptionalText("type") is null or "text"
        ? part.Text("text")
        : throw part.Fault("type", $"is '{MessageText.Text(part.Text("type"))}', but only text can be read", "leave the chat out");
}
