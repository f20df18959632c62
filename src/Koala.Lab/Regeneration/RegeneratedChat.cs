using Koala.Lab.Data;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Regeneration;

/// <summary>A chat as its answers come, turn by turn.</summary>
internal sealed class RegeneratedChat
{
    private readonly ChatRequest _request;
    private readonly MultiTurnChat _chat;
    private readonly List<RegeneratedAnswer> _answers = [];
    private bool _full;

    /// <param name="number">Of its line, from 0.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="system">A system message where it has none of its own; null: none.</param>
    public RegeneratedChat(int number, ChatRequest request, string? system)
    {
        (Number, _request) = (number, request);
        _chat = new MultiTurnChat([], request.Messages, system);
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

    /// <summary>The chat up to the turn to answer next. Only a chat that has not <see cref="Ended"/> has one.</summary>
    public IReadOnlyList<Message> Prompt => _chat.Prompt!;

    /// <summary>The line of the output file: the chat up to its last answer.</summary>
    public string Line => _request.Answered(_chat.Said, !Cut);

    /// <summary>Adds the answer to <see cref="Prompt"/>.</summary>
    public void Add(RegeneratedAnswer answer)
    {
        _answers.Add(answer);
        _chat.Answer(answer.Content);
    }

    /// <summary>The next turn does not fit the context.</summary>
    public void EndBeforeNext() => _full = true;

    public override string ToString() => _request.ToString();
}
