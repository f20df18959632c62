using System.Text;
using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>A line of a file whose user turns are to be answered again.</summary>
internal sealed class ChatRequest
{
    private static readonly string[] s_descriptions = ["source", "licence", "category"];
    private static readonly string[] s_chatKeys = ["id", .. s_descriptions, "messages", "done"];

    private readonly JsonSection _row;
    private readonly int _line;

    private ChatRequest(JsonSection row, int line)
    {
        (_row, _line) = (row, line);
        foreach (var key in s_descriptions) row.OptionalText(key);
        Messages = MessageList.KeyOf(row) is not null
            ? MessageList.Read(row, withAnswers: false)
            : [.. Prompts.Turns(row).Select(turn => new Message(Message.User, turn))];
        Turns = Messages.Count(m => m.Role == Message.User);
        if (Turns == 0)
            throw row.Fault(MessageList.KeyOf(row) ?? "messages",
                $"has no message of the user that could be answered{Roles.Seen(Messages)}",
                "give it one, or leave the line out");
        Id = Prompts.IdOf(row, line);
    }

    /// <summary>What identifies the request in its file.</summary>
    public string Id { get; }

    /// <summary>
    /// The messages without those of the assistant: the user's, and the system's where the line has any.
    /// </summary>
    public IReadOnlyList<Message> Messages { get; }

    /// <summary>The number of answers that the request asks for, at least one.</summary>
    public int Turns { get; }

    /// <summary>
    /// Reads a file of prompts (any form that <see cref="Prompts"/> reads) or of chats, whose answers are left out.
    /// </summary>
    /// <param name="path">A file or folder that <see cref="InputRows"/> reads.</param>
    /// <param name="limit">How many lines to read from the beginning; null means all.</param>
    /// <exception cref="KoalaException">
    /// The file cannot be read or is empty, a line has another form (file:line), or the limit is below 1.
    /// </exception>
    public static IReadOnlyList<ChatRequest> Load(string path, int? limit)
    {
        Prompts.CheckLimit(limit);
        var lines = InputRows.Read(path).Take(limit ?? int.MaxValue);
        return [.. lines.Select(line => new ChatRequest(line.Row, line.Line))];
    }

    /// <summary>
    /// The answered chat as a line in the format of data/README.md. It keeps whatever else the request's line holds.
    /// </summary>
    /// <param name="messages">All messages of the chat.</param>
    /// <param name="done">Whether the last answer is complete.</param>
    public string Answered(IEnumerable<Message> messages, bool done)
    {
        using var memory = new MemoryStream();
        using (var writer = new Utf8JsonWriter(memory, new JsonWriterOptions { Encoder = JsonFormat.Line.Encoder }))
        {
            writer.WriteStartObject();
            writer.WriteString("id", Id);
            foreach (var key in s_descriptions) writer.WriteString(key, _row.OptionalText(key) ?? "");
            writer.WriteStartArray("messages");
            foreach (var message in messages)
            {
                writer.WriteStartObject();
                writer.WriteString("role", message.Role);
                writer.WriteString("content", message.Content);
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
            writer.WriteBoolean("done", done);
            var turnsKey = MessageList.KeyOf(_row) ?? Prompts.TurnsKey(_row);
            foreach (var property in _row.Json.EnumerateObject())
                if (property.Name != turnsKey && !s_chatKeys.Contains(property.Name)) property.WriteTo(writer);
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(memory.GetBuffer(), 0, (int)memory.Length);
    }

    /// <summary>The number of the line, for error messages.</summary>
    public override string ToString() => $"line {_line}";
}
