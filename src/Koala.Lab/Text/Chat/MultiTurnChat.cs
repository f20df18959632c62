namespace Koala.Lab.Text.Chat;

/// <summary>A chat of several turns: each message of the user is answered after the answers to those before it.</summary>
internal sealed class MultiTurnChat
{
    private readonly IReadOnlyList<Message> _turns;
    private int _next;   // in _turns: the first message that has not been said

    /// <param name="given">What was said before the first turn to answer, with the answers to it; may be empty.</param>
    /// <param name="turns">What follows: messages of the user and of the system, without answers.</param>
    /// <param name="system">A system message before all others, where the chat has none of its own; null: none.</param>
    public MultiTurnChat(IReadOnlyList<Message> given, IReadOnlyList<Message> turns, string? system)
    {
        _turns = turns;
        var hasSystem = given.Concat(turns).Any(message => message.Role == Message.System);
        Said = system is null || hasSystem ? given : [new Message(Message.System, system), .. given];
    }

    /// <summary>The chat up to the last answer.</summary>
    public IReadOnlyList<Message> Said { get; private set; }

    /// <summary>The chat up to the user's next message, which is to be answered; null where all are answered.</summary>
    public IReadOnlyList<Message>? Prompt
    {
        get
        {
            IReadOnlyList<Message> left = [.. _turns.Skip(_next)];
            var user = left.TakeWhile(message => message.Role != Message.User).Count();
            return user == left.Count ? null : [.. Said, .. left.Take(user + 1)];
        }
    }

    /// <summary>Adds the answer to <see cref="Prompt"/>.</summary>
    /// <exception cref="InvalidOperationException">All turns are answered.</exception>
    public void Answer(string text)
    {
        var prompt = Prompt ?? throw new InvalidOperationException("all turns of the chat are answered");
        _next += prompt.Count - Said.Count;
        Said = [.. prompt, new Message(Message.Assistant, text)];
    }
}
