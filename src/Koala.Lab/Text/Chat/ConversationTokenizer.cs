using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Text.Chat;

/// <summary>
/// Turns conversations into the tokens that the target would have seen, and marks what the assistant says.
/// </summary>
/// <remarks>
/// A prompt is the chat up to a turn, rendered with the generation prompt; the answer is what follows it in the
/// rendered complete chat. Both are encoded separately, as they are when the target answers.
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
    /// <exception cref="KoalaException">
    /// The template throws, or it renders the chat up to a turn differently than that part of the complete chat.
    /// </exception>
    public TokenizedConversation Tokenize(Conversation conversation)
    {
        var messages = conversation.Messages;
        var text = _template.Render(messages, addGenerationPrompt: false);
        int[] turns = [.. Enumerable.Range(0, messages.Count).Where(i => messages[i].Role == Message.Assistant)];
        int[] starts = [.. turns.Select(i => Start(conversation, i, text))];

        var (tokens, mask) = (new List<int>(), new List<bool>());
        void Add(IReadOnlyList<int> ids, bool isLearned)
        {
            tokens.AddRange(ids);
            mask.AddRange(Enumerable.Repeat(isLearned, ids.Count));
        }

        var from = 0;
        for (var t = 0; t < turns.Length; t++)
        {
            var next = t + 1 < turns.Length ? starts[t + 1] : text.Length;
            var end = End(conversation, turns[t], text, starts[t], next);
            Add(_tokenizer.Encode(text[from..starts[t]]), false);
            Add(_tokenizer.Encode(text[starts[t]..end]), true);
            var tail = _tokenizer.Encode(text[end..next]);
            var isComplete = turns[t] < messages.Count - 1 || conversation.Done;
            var learned = isComplete ? EndOfTurn(tail) : 0;
            Add([.. tail.Take(learned)], true);
            Add([.. tail.Skip(learned)], false);
            from = next;
        }
        Add(_tokenizer.Encode(text[from..]), false);
        return new TokenizedConversation([.. tokens], [.. mask]);
    }

    // Where the answer begins in the text of the chat.
    private int Start(Conversation conversation, int turn, string text)
    {
        var prompt = _template.Render([.. conversation.Messages.Take(turn)], addGenerationPrompt: true);
        return text.StartsWith(prompt, StringComparison.Ordinal)
            ? prompt.Length
            : throw Fault(conversation, $"is rendered differently up to message {turn + 1} than as a whole");
    }

    // Where the content of the answer ends in the text of the chat; some templates trim the content.
    private static int End(Conversation conversation, int turn, string text, int start, int next)
    {
        var content = conversation.Messages[turn].Content;
        foreach (var form in (ReadOnlySpan<string>)[content, content.TrimStart(), content.TrimEnd(), content.Trim()])
        {
            if (start > next) break;
            var found = text.IndexOf(form, start, next - start, StringComparison.Ordinal);
            if (found >= 0) return found + form.Length;
        }
        throw Fault(conversation, $"has its message {turn + 1} changed by the chat template");
    }

    // The number of tokens of the tail up to the end-of-turn token, which is the first special one.
    private int EndOfTurn(IReadOnlyList<int> tail)
    {
        for (var i = 0; i < tail.Count; i++)
            if (_tokenizer.IsSpecial(tail[i])) return i + 1;
        return 0;
    }

    private static KoalaException Fault(Conversation conversation, string fault) => new(
        $"conversation '{MessageText.Text(conversation.Id)}'",
        $"{fault}, so that its answers cannot be separated from the rest",
        "leave it out, or use a simpler chat template");
}
