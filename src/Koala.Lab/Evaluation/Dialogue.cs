using Koala.Lab.Data;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Evaluation;

/// <summary>The turns of a prompt as token ids. Each turn follows the answers to the turns before it.</summary>
public sealed class Dialogue
{
    private readonly Target _target;
    private readonly bool _raw;
    private readonly MultiTurnChat _chat;

    /// <param name="target">The target, whose tokenizer and chat template are used.</param>
    /// <param name="prompt">The prompt; a raw prompt is tokenised without the chat template.</param>
    /// <param name="allTurns">Whether all turns are asked, or only the first one.</param>
    /// <param name="system">A system message that comes first if the prompt has none; null means no system message.</param>
    public Dialogue(Target target, Prompt prompt, bool allTurns, string? system = null)
    {
        _target = target;
        _raw = prompt.Raw;
        // A line of messages is one turn: the messages before the last user message are given.
        IReadOnlyList<Message> given = [.. prompt.Messages?.SkipLast(1) ?? []];
        var turns = prompt.Messages is { } messages ? [messages[^1].Content] : prompt.Turns;
        var asked = turns.Take(allTurns ? turns.Count : 1).Select(turn => new Message(Message.User, turn));
        _chat = new MultiTurnChat(given, [.. asked], system);
    }

    /// <summary>The prompt, as token ids, of the first turn without an answer; null if all turns are answered.</summary>
    public IReadOnlyList<int>? Next()
    {
        if (_chat.Prompt is not { } messages) return null;
        return _raw ? _target.Tokenizer.Encode(messages[^1].Content, addSpecialTokens: true) : _target.Tokenizer.EncodeChat(messages);
    }

    /// <summary>Adds the answer to the turn that <see cref="Next"/> returned and goes on to the turn after it.</summary>
    /// <exception cref="InvalidOperationException">All turns are answered.</exception>
    public void Answer(string text) => _chat.Answer(text);
}
