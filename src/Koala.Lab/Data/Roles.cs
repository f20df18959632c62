using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>The roles of messages, for error messages.</summary>
internal static class Roles
{
    /// <summary>The roles in brackets, each once: " (roles: human, gpt)".</summary>
    public static string Seen(IEnumerable<Message> messages) =>
        $" (roles: {MessageText.List([.. messages.Select(m => m.Role).Distinct()])})";
}
