using System.Text;
using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>A line of a file whose user turns are to be answered anew.</summary>
internal sealed class ChatRequest
{
    private static readonly string[] s_chatKeys = ["id", "source", "licence", "category", "messages", "done"];

    private readonly JsonSection _row;
    private readonly int _line;

    private ChatRequest(JsonSection row, int line)
    {
        (_row, _line) = (row, line);
        foreach (var key in (string[])["source", "licence", "category"]) row.OptionalText(key);
        Messages = row.Has("messages")
            ? [.. MessageList.Read(row).Where(m => m.Role != Message.Assistant)]
            : [.. Prompts.Turns(row).Select(turn => new Message(Message.User, turn))];
        Turns = Messages.Count(m => m.Role == Message.User);
        if (Turns == 0) throw row.Fault("messages", "has no message of the user, which could be answered", "give it one, or leave the line out");
        Id = Prompts.IdOf(row, line);
    }

    /// <summary>Names it in its file.</summary>
    public string Id { get; }

    /// <summary>What is said without the assistant's turns: the user's, and those of the system where the line has them.</summary>
    public IReadOnlyList<Message> Messages { get; }

    /// <summary>How many answers it asks for, at least one.</summary>
    public int Turns { get; }

    /// <summary>Reads a file of prompts (any form that <see cref="Prompts"/> reads) or of chats, whose answers are left out.</summary>
    /// <param name="path">A .jsonl file, or .jsonl.gz.</param>
    /// <param name="limit">The first so many lines; null: all.</param>
    /// <exception cref="KoalaException">The file cannot be read or is empty, a line has another form (file:line), or the limit is below 1.</exception>
    public static IReadOnlyList<ChatRequest> Load(string path, int? limit)
    {
        Prompts.CheckLimit(limit);
        return [.. JsonLines.Read(path).Take(limit ?? int.MaxValue).Select(line => new ChatRequest(line.Row, line.Line))];
    }

    /// <summary>The line of the chat as data/README.md has it, answered; whatever else the request's line holds stays.</summary>
    /// <param name="messages">The whole chat.</param>
    /// <param name="done">Whether the last answer came to its end.</param>
    public string Answered(IEnumerable<Message> messages, bool done)
    {
        using var memory = new MemoryStream();
        using (var writer = new Utf8JsonWriter(memory, new JsonWriterOptions { Encoder = JsonFormat.Line.Encoder }))
        {
            writer.WriteStartObject();
            writer.WriteString("id", Id);
            foreach (var key in (string[])["source", "licence", "category"]) writer.WriteString(key, _row.OptionalText(key) ?? "");
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
            var asked = _row.Has("messages") ? "messages" : Prompts.TurnsKey(_row);
            foreach (var property in _row.Json.EnumerateObject().Where(p => p.Name != asked && !s_chatKeys.Contains(p.Name))) property.WriteTo(writer);
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(memory.GetBuffer(), 0, (int)memory.Length);
    }

    /// <summary>The line, for messages.</summary>
    public override string ToString() => $"line {_line}";
}
