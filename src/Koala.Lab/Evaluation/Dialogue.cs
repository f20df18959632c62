using Koala.Lab.Data;
using Koala.Lab.Targets;
using Koala.Lab.Text;

namespace Koala.Lab.Evaluation;

/// <summary>A prompt turn by turn, as token ids: each turn after the answers to the turns before.</summary>
public sealed class Dialogue
{
    private readonly Target _target;
    private readonly bool _raw;
    private readonly IReadOnlyList<string> _turns;
    private readonly List<Message> _messages;
    private int _asked;

    /// <param name="target">Its tokenizer and chat template are used.</param>
    /// <param name="prompt">The prompt; a raw one is tokenised as it is.</param>
    /// <param name="allTurns">All turns, or the first only.</param>
    /// <param name="system">A system message before everything else, where the prompt has none of its own; null: none.</param>
    public Dialogue(Target target, Prompt prompt, bool allTurns, string? system = null)
    {
        _target = target;
        _raw = prompt.Raw;
        // A line with whole messages is one turn: what was said before the last user message is given.
        _messages = [.. prompt.Messages?.SkipLast(1) ?? []];
        var turns = prompt.Messages is { } messages ? [messages[^1].Content] : prompt.Turns;
        _turns = allTurns ? turns : [.. turns.Take(1)];
        if (system is not null && _messages.All(m => m.Role != "system")) _messages.Insert(0, new Message("system", system));
    }

    /// <summary>The next turn's prompt as token ids; null after the last.</summary>
    public IReadOnlyList<int>? Next()
    {
        if (_asked == _turns.Count) return null;
        var turn = _turns[_asked++];
        if (_raw) return _target.Tokenizer.Encode(turn, addSpecialTokens: true);
        _messages.Add(new Message("user", turn));
        return _target.Tokenizer.EncodeChat(_messages);
    }

    /// <summary>Tells what the last turn was answered.</summary>
    public void Answer(string text) => _messages.Add(new Message("assistant", text));
}
