using Koala.Lab.Data;
using Koala.Lab.Targets;
using Koala.Lab.Text;

namespace Koala.Lab.Evaluation;

/// <summary>A prompt turn by turn, as token ids: each turn after the answers to the turns before.</summary>
public sealed class Dialogue
{
    private readonly Target _target;
    private readonly Prompt _prompt;
    private readonly int _turns;
    private readonly List<Message> _messages;
    private int _asked;

    /// <param name="target">Its tokenizer and chat template are used.</param>
    /// <param name="prompt">The prompt; a raw one is tokenised as it is.</param>
    /// <param name="allTurns">All turns, or the first only.</param>
    /// <param name="system">A system message before everything else; null: none.</param>
    public Dialogue(Target target, Prompt prompt, bool allTurns, string? system = null)
    {
        (_target, _prompt) = (target, prompt);
        _turns = allTurns ? prompt.Turns.Count : Math.Min(1, prompt.Turns.Count);
        _messages = system is null ? [] : [new Message("system", system)];
    }

    /// <summary>The next turn's prompt as token ids; null after the last.</summary>
    public IReadOnlyList<int>? Next()
    {
        if (_asked == _turns) return null;
        var turn = _prompt.Turns[_asked++];
        if (_prompt.Raw) return _target.Tokenizer.Encode(turn, addSpecialTokens: true);
        _messages.Add(new Message("user", turn));
        return _target.Tokenizer.EncodeChat(_messages);
    }

    /// <summary>Tells what the last turn was answered.</summary>
    public void Answer(string text) => _messages.Add(new Message("assistant", text));
}
