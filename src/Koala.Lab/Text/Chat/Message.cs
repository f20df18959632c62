namespace Koala.Lab.Text.Chat;

/// <summary>One message of a chat.</summary>
/// <param name="Role">
/// The role of the speaker: <c>system</c>, <c>user</c>, <c>assistant</c> or another role that the chat template knows.
/// </param>
/// <param name="Content">The text of the message.</param>
public sealed record Message(string Role, string Content)
{
    /// <summary>The role of the model. A head learns from its turns.</summary>
    public const string Assistant = "assistant";

    /// <summary>The role of the one who asks.</summary>
    public const string User = "user";

    /// <summary>The role of the messages that say how to answer.</summary>
    public const string System = "system";
}
