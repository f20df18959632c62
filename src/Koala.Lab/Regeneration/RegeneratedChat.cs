using Koala.Lab.Data;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Regeneration;

/// <summary>A chat that is answered turn by turn.</summary>
internal sealed class RegeneratedChat
{
    private readonly ChatRequest _request;
    private readonly MultiTurnChat _chat;
    private readonly List<RegeneratedAnswer> _answers = [];
    private bool _full;

    /// <param name="number">The number of the chat's line, counted from 0.</param>
    /// <param name="request">The user messages of the chat.</param>
    /// <param name="system">A system message for a chat that has none of its own; null means none.</param>
    public RegeneratedChat(int number, ChatRequest request, string? system)
    {
        (Number, _request) = (number, request);
        _chat = new MultiTurnChat([], request.Messages, system);
    }

    public int Number { get; }

    public IReadOnlyList<RegeneratedAnswer> Answers => _answers;

    /// <summary>Whether the last answer was cut off.</summary>
    public bool Cut => _answers is [.., { Done: false }];

    /// <summary>
    /// Whether no further answer follows: all turns are answered, the last answer was cut off, or the next turn does
    /// not fit the context.
    /// </summary>
    /// <remarks>
    /// A turn after an answer that was cut off would follow an end of turn that the target never said.
    /// </remarks>
    public bool Ended => _full || Cut || _answers.Count == _request.Turns;

    /// <summary>Whether the chat has ended after its first answer, but before all turns were answered.</summary>
    public bool Shortened => Ended && _answers.Count > 0 && _answers.Count < _request.Turns;

    /// <summary>Whether not even the first turn fits the context.</summary>
    public bool Skipped => _full && _answers.Count == 0;

    /// <summary>The number of answers in the end, if the chat does not end early from now on.</summary>
    public int Total => Ended ? _answers.Count : _request.Turns;

    /// <summary>
    /// The chat up to the turn that is answered next. Only a chat that has not <see cref="Ended"/> has one.
    /// </summary>
    public IReadOnlyList<Message> Prompt => _chat.Prompt!;

    /// <summary>The line of the output file, which is the chat up to its last answer.</summary>
    public string Line => _request.Answered(_chat.Messages, !Cut);

    /// <summary>Adds the answer to the chat.</summary>
    public void Add(RegeneratedAnswer answer)
    {
        _answers.Add(answer);
        _chat.Answer(answer.Content);
    }

    /// <summary>Ends the chat, since the next turn does not fit the context.</summary>
    public void EndBeforeNext() => _full = true;

    public override string ToString() => _request.ToString();
}
