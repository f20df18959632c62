using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Text.Chat;

/// <summary>Turns conversations into the tokens that the target would have seen, and marks what the assistant says.</summary>
/// <remarks>
/// A prompt is the chat rendered up to a turn with the generation prompt; the answer is what follows it in the chat rendered whole. Both are
/// encoded apart, as they are when the target answers.
/// </remarks>
public sealed class ConversationTokenizer
{
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate _template;

    /// <param name="tokenizer">The target's tokenizer.</param>
    /// <exception cref="KoalaException">It has no chat template.</exception>
    public ConversationTokenizer(Tokenizer tokenizer) => (_tokenizer, _template) = (tokenizer, tokenizer.RequireChatTemplate());

    /// <exception cref="KoalaException">The template throws, or renders the chat up to a turn differently than as a part of the whole.</exception>
    public TokenizedConversation Tokenize(Conversation conversation)
    {
        var messages = conversation.Messages;
        var whole = _template.Render(messages, addGenerationPrompt: false);
        int[] turns = [.. Enumerable.Range(0, messages.Count).Where(i => messages[i].Role == Message.Assistant)];
        int[] starts = [.. turns.Select(i => Start(conversation, i, whole))];

        var (tokens, mask) = (new List<int>(), new List<bool>());
        void Add(IReadOnlyList<int> ids, bool learned)
        {
            tokens.AddRange(ids);
            mask.AddRange(Enumerable.Repeat(learned, ids.Count));
        }

        var from = 0;
        for (var t = 0; t < turns.Length; t++)
        {
            var next = t + 1 < turns.Length ? starts[t + 1] : whole.Length;
            var end = End(conversation, turns[t], whole, starts[t], next);
            Add(_tokenizer.Encode(whole[from..starts[t]]), false);
            Add(_tokenizer.Encode(whole[starts[t]..end]), true);
            var tail = _tokenizer.Encode(whole[end..next]);
            var learned = turns[t] < messages.Count - 1 || conversation.Done ? EndOfTurn(tail) : 0;
            Add([.. tail.Take(learned)], true);
            Add([.. tail.Skip(learned)], false);
            from = next;
        }
        Add(_tokenizer.Encode(whole[from..]), false);
        return new TokenizedConversation([.. tokens], [.. mask]);
    }

    // Where the answer begins in the whole chat.
    private int Start(Conversation conversation, int turn, string whole)
    {
        var prompt = _template.Render([.. conversation.Messages.Take(turn)], addGenerationPrompt: true);
        return whole.StartsWith(prompt, StringComparison.Ordinal) ? prompt.Length
            : throw Fault(conversation, $"is rendered differently up to message {turn + 1} than as a whole");
    }

    // Where its content ends; some templates trim it.
    private static int End(Conversation conversation, int turn, string whole, int start, int next)
    {
        var content = conversation.Messages[turn].Content;
        foreach (var text in (ReadOnlySpan<string>)[content, content.TrimStart(), content.TrimEnd(), content.Trim()])
            if (start <= next && whole.IndexOf(text, start, next - start, StringComparison.Ordinal) is >= 0 and var at) return at + text.Length;
        throw Fault(conversation, $"has its message {turn + 1} changed by the chat template");
    }

    // Tokens of the tail up to the end-of-turn token: its first special one.
    private int EndOfTurn(IReadOnlyList<int> tail)
    {
        for (var i = 0; i < tail.Count; i++)
            if (_tokenizer.IsSpecial(tail[i])) return i + 1;
        return 0;
    }

    private static KoalaException Fault(Conversation conversation, string fault) =>
        new($"conversation '{MessageText.Text(conversation.Id)}'", $"{fault}, so that its answers cannot be told from the rest", "leave it out, or use a simpler chat template");
}
