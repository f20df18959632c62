using Koala.Lab.Data;
using Koala.Lab.Text;

namespace Koala.Lab.Training;

/// <summary>A chat as its answers come, turn by turn.</summary>
internal sealed class RegeneratedChat
{
    private readonly ChatRequest _request;
    private readonly IReadOnlyList<Message> _asked;
    private readonly List<RegeneratedAnswer> _answers = [];
    private bool _full;

    /// <param name="number">Of its line, from 0.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="system">A system message where it has none of its own; null: none.</param>
    public RegeneratedChat(int number, ChatRequest request, string? system)
    {
        (Number, _request) = (number, request);
        _asked = system is null || request.Messages.Any(m => m.Role == "system") ? request.Messages : [new Message("system", system), .. request.Messages];
    }

    public int Number { get; }

    public IReadOnlyList<RegeneratedAnswer> Answers => _answers;

    /// <summary>Whether the last answer was cut.</summary>
    public bool Cut => _answers is [.., { Done: false }];

    /// <summary>Whether no answer is to come: all are there, the last one was cut, or the next turn does not fit the context.</summary>
    /// <remarks>What follows a cut answer would stand behind an end of turn that the target never said.</remarks>
    public bool Ended => _full || Cut || _answers.Count == _request.Turns;

    /// <summary>Ended before all turns were answered, with at least one that was.</summary>
    public bool Shortened => Ended && _answers.Count > 0 && _answers.Count < _request.Turns;

    /// <summary>Not even the first turn fits the context.</summary>
    public bool Skipped => _full && _answers.Count == 0;

    /// <summary>Answers that it has or, unless it ends early, will have.</summary>
    public int Total => Ended ? _answers.Count : _request.Turns;

    /// <summary>The chat up to the turn to answer next.</summary>
    public IReadOnlyList<Message> Prompt => [.. Messages(answered: false)];

    public string Line => _request.Answered(Messages(answered: true), !Cut);

    public void Add(RegeneratedAnswer answer) => _answers.Add(answer);

    /// <summary>The next turn does not fit the context.</summary>
    public void EndBeforeNext() => _full = true;

    public override string ToString() => _request.ToString();

    // Up to the last answer, or beyond it up to the user's next message.
    private IEnumerable<Message> Messages(bool answered)
    {
        var turn = 0;
        foreach (var message in _asked)
        {
            if (answered && turn == _answers.Count) yield break;
            yield return message;
            if (message.Role != Message.User) continue;
            if (turn == _answers.Count) yield break;
            yield return new Message(Message.Assistant, _answers[turn++].Content);
        }
    }
}
