namespace Koala.Lab.Text.Chat;

/// <summary>
/// A chat of several turns. Each message of the user is answered after the answers to the messages before it.
/// </summary>
internal sealed class MultiTurnChat
{
    private readonly IReadOnlyList<Message> _turns;
    private int _next;   // the index in _turns of the first message that is not part of the chat yet

    /// <param name="given">The messages before the first turn to answer, with their answers; may be empty.</param>
    /// <param name="turns">The messages that follow, of the user and of the system, without answers.</param>
    /// <param name="system">
    /// A system message that goes before all others if the chat has none of its own; null means none.
    /// </param>
    public MultiTurnChat(IReadOnlyList<Message> given, IReadOnlyList<Message> turns, string? system)
    {
        _turns = turns;
        var hasSystem = given.Concat(turns).Any(message => message.Role == Message.System);
        Messages = system is null || hasSystem ? given : [new Message(Message.System, system), .. given];
    }

    /// <summary>The chat up to the last answer.</summary>
    public IReadOnlyList<Message> Messages { get; private set; }

    /// <summary>The chat up to the user's next message, which is to be answered; null if all are answered.</summary>
    public IReadOnlyList<Message>? Prompt
    {
        get
        {
            IReadOnlyList<Message> remaining = [.. _turns.Skip(_next)];
            var user = remaining.TakeWhile(message => message.Role != Message.User).Count();
            return user == remaining.Count ? null : [.. Messages, .. remaining.Take(user + 1)];
        }
    }

    /// <summary>Adds the answer to <see cref="Prompt"/>.</summary>
    /// <exception cref="InvalidOperationException">All turns are answered.</exception>
    public void Answer(string text)
    {
        var prompt = Prompt ?? throw new InvalidOperationException("all turns of the chat are answered");
        _next += prompt.Count - Messages.Count;
        Messages = [.. prompt, new Message(Message.Assistant, text)];
    }
}
