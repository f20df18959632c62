using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>
/// Reads the messages of a line: <c>messages</c> with <c>role</c> and <c>content</c>, or <c>conversations</c> with those or with ShareGPT's
/// <c>from</c> and <c>value</c>. A content that is a list of texts, as chat services write it, is joined.
/// </summary>
internal static class MessageList
{
    private const string Messages = "messages";

    private static readonly string[] s_keys = [Messages, "conversations", "conversation"];

    // ShareGPT's names of roles; other names stay as they are.
    private static readonly Dictionary<string, string> s_roles = new(StringComparer.OrdinalIgnoreCase)
    {
        ["human"] = Message.User, ["user"] = Message.User,
        ["gpt"] = Message.Assistant, ["chatgpt"] = Message.Assistant, ["bard"] = Message.Assistant, ["bing"] = Message.Assistant,
        ["assistant"] = Message.Assistant, ["model"] = Message.Assistant,
        ["function_response"] = "tool", ["observation"] = "tool",
    };

    /// <summary>The key of a line's messages; null if it has none.</summary>
    public static string? KeyOf(JsonSection row) => s_keys.FirstOrDefault(row.Has);

    /// <param name="row">The line.</param>
    /// <param name="withAnswers">Whether the messages of the assistant are read; otherwise they are left out.</param>
    /// <exception cref="KoalaException">There are no messages, or one lacks its role or a content of text.</exception>
    public static IReadOnlyList<Message> Read(JsonSection row, bool withAnswers = true)
    {
        const string Fix = "give a list of objects with role and content";
        var key = KeyOf(row) ?? throw OtherFormats.Missing(row, Messages, "is missing", Fix);
        var items = row.Items(key);
        if (items.Count == 0) throw row.Fault(key, "is empty", Fix);
        if (items[0].Has("from") && items[0].Has("value")) return ReadShareGpt(row, key, items, withAnswers);
        return [.. items.Where(m => withAnswers || m.Text("role") != Message.Assistant).Select(Read)];
    }

    // Such files were collected from web pages: chats may begin with an answer whose question is lost, and turns may be empty. What
    // precedes the first question is left out, and so is everything from an empty turn on.
    private static IReadOnlyList<Message> ReadShareGpt(JsonSection row, string key, IReadOnlyList<JsonSection> items, bool withAnswers)
    {
        var all = items.Select(item => new Message(s_roles.GetValueOrDefault(item.Text("from"), item.Text("from")), item.Text("value")));
        Message[] whole = [.. all.TakeWhile(message => !string.IsNullOrWhiteSpace(message.Content))];
        var start = Array.FindIndex(whole, message => message.Role == Message.User);
        if (start < 0)
            throw row.Fault(key,
                whole.Length < items.Count ? "has an empty turn before any question" : $"has no question{Roles.Seen(whole)}",
                "leave the chat out");
        var system = whole.Take(start).Where(message => message.Role == "system");
        if (row.OptionalText("system") is { Length: > 0 } given) system = [new Message("system", given)];
        return [.. system, .. whole.Skip(start).Where(message => withAnswers || message.Role != Message.Assistant)];
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
