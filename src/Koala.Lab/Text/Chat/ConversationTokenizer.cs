using Jint.Runtime;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Text.Chat;

/// <summary>
/// Turns conversations into the tokens that the target would have seen, and marks what the assistant says.
/// </summary>
/// <remarks>
/// The prompt of a turn is the chat up to it, rendered with the generation prompt, and the answer follows it. Both are
/// encoded separately, as they are when the target answers. If every prompt is the beginning of the rendered complete
/// chat, the chat is tokenized as one. Some templates render a turn differently once another follows it: Qwen3's removes
/// what was thought. Their chats are tokenized turn by turn, each answer after its own prompt.
/// </remarks>
internal sealed class ConversationTokenizer
{
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate _template;

    /// <param name="tokenizer">The target's tokenizer.</param>
    /// <exception cref="KoalaException">The tokenizer has no chat template.</exception>
    public ConversationTokenizer(Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _template = tokenizer.RequireChatTemplate();
    }

    /// <summary>Tokenizes a conversation.</summary>
    /// <returns>
    /// The conversation as one sequence, or as several if later turns change how earlier ones are rendered. Each answer
    /// is learned in one of them.
    /// </returns>
    /// <exception cref="KoalaException">The template throws.</exception>
    public IReadOnlyList<TokenizedConversation> Tokenize(Conversation conversation)
    {
        var messages = conversation.Messages;
        Turn[] turns =
        [
            .. Enumerable.Range(0, messages.Count).Where(i => messages[i].Role == Message.Assistant).Select(i => new Turn(
                i, _template.Render([.. messages.Take(i)], addGenerationPrompt: true), i < messages.Count - 1 || conversation.Done)),
        ];
        return AsOne(messages, turns) is { } whole ? [whole] : ByTurn(messages, turns);
    }

    /// <summary>Tokenizes a conversation, unless the template refuses it, such as for the order of its roles.</summary>
    /// <returns>What <see cref="Tokenize"/> returns, or nothing and the template's refusal.</returns>
    /// <exception cref="KoalaException">The template exceeds a limit, which is no fault of a conversation.</exception>
    public (IReadOnlyList<TokenizedConversation> Sequences, KoalaException? Refusal) TryTokenize(Conversation conversation)
    {
        try
        {
            return (Tokenize(conversation), null);
        }
        catch (KoalaException e) when (e.InnerException is JavaScriptException)
        {
            return ([], e);
        }
    }

    // Returns null if a prompt is not the beginning of the complete chat, or an answer is not found in it.
    private TokenizedConversation? AsOne(IReadOnlyList<Message> messages, Turn[] turns)
    {
        var text = _template.Render(messages, addGenerationPrompt: false);
        var sequence = new Sequence();
        var from = 0;
        for (var t = 0; t < turns.Length; t++)
        {
            if (!text.StartsWith(turns[t].Prompt, StringComparison.Ordinal)) return null;
            var start = turns[t].Prompt.Length;
            var isLast = t + 1 == turns.Length;
            if (!isLast && !text.StartsWith(turns[t + 1].Prompt, StringComparison.Ordinal)) return null;
            var next = isLast ? text.Length : turns[t + 1].Prompt.Length;
            if (EndOf(messages[turns[t].Index].Content, text, start, start, next) is not { } end) return null;
            sequence.Add(Encode(text[from..start], sequence), false);
            sequence.Add(Encode(text[start..end], sequence), true);
            var tail = Encode(text[end..next], sequence);
            var learned = turns[t].IsComplete ? EndOfTurn(tail) : 0;
            sequence.Add([.. tail.Take(learned)], true);
            sequence.Add([.. tail.Skip(learned)], false);
            from = next;
        }
        sequence.Add(Encode(text[from..], sequence), false);
        return sequence.ToConversation();
    }

    // A turn goes on in the sequence of the turn before it if its prompt begins with that.
    private List<TokenizedConversation> ByTurn(IReadOnlyList<Message> messages, Turn[] turns)
    {
        var sequences = new List<Sequence>();
        var seen = "";
        foreach (var turn in turns)
        {
            if (sequences.Count == 0 || !turn.Prompt.StartsWith(seen, StringComparison.Ordinal))
            {
                sequences.Add(new Sequence());
                seen = "";
            }
            var closed = _template.Render([.. messages.Take(turn.Index + 1)], addGenerationPrompt: false);
            var (answer, tail, isAnswersTail) = Answer(turn.Prompt, closed, messages[turn.Index].Content);
            var sequence = sequences[^1];
            sequence.Add(Encode(turn.Prompt[seen.Length..], sequence), false);
            sequence.Add(Encode(answer, sequence), true);
            var after = turn.IsComplete ? Encode(tail, sequence) : [];
            int[] ending = isAnswersTail ? [.. after.Take(EndOfTurn(after))] : [.. after.Where(_tokenizer.IsSpecial).TakeLast(1)];
            sequence.Add(ending, true);
            seen = $"{turn.Prompt}{answer}{string.Concat(ending.Select(_tokenizer.TextOf))}";
        }
        return [.. sequences.Select(sequence => sequence.ToConversation())];
    }

    // The tokens of a text that follows a sequence.
    private IReadOnlyList<int> Encode(string text, Sequence sequence) => _tokenizer.EncodeAfter(text, sequence.Last);

    // What the target says after the prompt, and the text in which its turn ends. The chat that is closed by the answer ends with both,
    // unless the template changes the answer; only the last special token of what it has then is known to end the turn.
    private static (string Answer, string Tail, bool IsAnswersTail) Answer(string prompt, string closed, string content)
    {
        if (closed.StartsWith(prompt, StringComparison.Ordinal))
        {
            // The generation prompt may end with the beginning of the content, such as <think>.
            var earliest = Math.Clamp(prompt.Length - content.Length + 1, 0, prompt.Length);
            if (EndOf(content, closed, earliest, prompt.Length, closed.Length) is { } end)
                return (closed[prompt.Length..end], closed[end..], true);
        }
        return (content[BegunBy(prompt, content)..], closed[prompt.AsSpan().CommonPrefixLength(closed)..], false);
    }

    // How much of the content the prompt ends with already. White space alone is no beginning.
    private static int BegunBy(string prompt, string content)
    {
        for (var length = Math.Min(prompt.Length, content.Length); length > 0; length--)
            if (prompt.AsSpan().EndsWith(content.AsSpan(0, length))) return content.AsSpan(0, length).IsWhiteSpace() ? 0 : length;
        return 0;
    }

    // Where the content ends in the text: it begins at the earliest position or later, and does not end before the answer
    // starts. Some templates trim the content.
    private static int? EndOf(string content, string text, int earliest, int start, int next)
    {
        foreach (var form in (ReadOnlySpan<string>)[content, content.TrimStart(), content.TrimEnd(), content.Trim()])
        {
            if (start > next) break;
            var found = text.IndexOf(form, earliest, next - earliest, StringComparison.Ordinal);
            if (found >= 0 && found + form.Length >= start) return found + form.Length;
        }
        return null;
    }

    // The number of tokens of the tail up to the end-of-turn token, which is the first special one.
    private int EndOfTurn(IReadOnlyList<int> tail)
    {
        for (var i = 0; i < tail.Count; i++)
            if (_tokenizer.IsSpecial(tail[i])) return i + 1;
        return 0;
    }

    // A turn of the assistant: the index of its message, and the rendered chat before it.
    private sealed record Turn(int Index, string Prompt, bool IsComplete);

    private sealed class Sequence
    {
        private readonly List<int> _tokens = [];
        private readonly List<bool> _mask = [];

        public int? Last => _tokens.Count > 0 ? _tokens[^1] : null;

        public void Add(IReadOnlyList<int> ids, bool isLearned)
        {
            _tokens.AddRange(ids);
            _mask.AddRange(Enumerable.Repeat(isLearned, ids.Count));
        }

        public TokenizedConversation ToConversation() => new([.. _tokens], [.. _mask]);
    }
}
