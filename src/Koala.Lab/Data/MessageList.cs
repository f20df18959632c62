using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>Reads the <c>messages</c> of a line.</summary>
internal static class MessageList
{
    /// <exception cref="KoalaException">There are no messages, or one lacks its role or content.</exception>
    public static IReadOnlyList<Message> Read(JsonSection row)
    {
        Message[] messages = [.. row.Items("messages").Select(m => new Message(m.Text("role"), m.Text("content")))];
        return messages.Length > 0
            ? messages
            : throw row.Fault("messages", "is empty or missing", "give a list of objects with role and content");
    }
}
