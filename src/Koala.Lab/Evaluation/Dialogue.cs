using Koala.Lab.Data;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Evaluation;

/// <summary>A prompt turn by turn, as token ids: each turn after the answers to the turns before.</summary>
public sealed class Dialogue
{
    private readonly Target _target;
    private readonly bool _raw;
    private readonly MultiTurnChat _chat;

    /// <param name="target">Its tokenizer and chat template are used.</param>
    /// <param name="prompt">The prompt; a raw one is tokenised as it is.</param>
    /// <param name="allTurns">All turns, or the first only.</param>
    /// <param name="system">A system message before everything else, where the prompt has none of its own; null: none.</param>
    public Dialogue(Target target, Prompt prompt, bool allTurns, string? system = null)
    {
        _target = target;
        _raw = prompt.Raw;
        // A line with whole messages is one turn: what was said before the last user message is given.
        IReadOnlyList<Message> given = [.. prompt.Messages?.SkipLast(1) ?? []];
        var turns = prompt.Messages is { } messages ? [messages[^1].Content] : prompt.Turns;
        var asked = turns.Take(allTurns ? turns.Count : 1).Select(turn => new Message(Message.User, turn));
        _chat = new MultiTurnChat(given, [.. asked], system);
    }

    /// <summary>The prompt of the first turn without an answer as token ids; null where all turns are answered.</summary>
    public IReadOnlyList<int>? Next()
    {
        if (_chat.Prompt is not { } messages) return null;
        return _raw ? _target.Tokenizer.Encode(messages[^1].Content, addSpecialTokens: true) : _target.Tokenizer.EncodeChat(messages);
    }

    /// <summary>Adds the answer to the turn that <see cref="Next"/> gives; then the turn after it is the next.</summary>
    /// <exception cref="InvalidOperationException">All turns are answered.</exception>
    public void Answer(string text) => _chat.Answer(text);
}
