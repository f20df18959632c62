namespace Koala.Lab.Text.Chat;

/// <summary>One message of a chat.</summary>
/// <param name="Role">Who speaks: <c>system</c>, <c>user</c>, <c>assistant</c> or another role that the chat template knows.</param>
/// <param name="Content">What is said.</param>
public sealed record Message(string Role, string Content)
{
    /// <summary>The role whose turns a head learns from.</summary>
    public const string Assistant = "assistant";

    /// <summary>The role that asks.</summary>
    public const string User = "user";

    /// <summary>The role that says how to answer.</summary>
    public const string System = "system";
}
