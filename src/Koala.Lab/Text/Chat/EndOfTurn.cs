using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Text.Chat;

/// <summary>Finds the tokens that end an answer where a model's files do not list them.</summary>
/// <remarks>
/// Converters and fine-tuned models often name only the end of a document as the end of sequence. What ends a turn
/// then shows in the chat template and in the names of the tokens.
/// </remarks>
internal static class EndOfTurn
{
    private static readonly string[] s_known =
    [
        "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>", "<end_of_turn>", "<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>",
        "<|endofturn|>", "[|endofturn|]", "<end_of_utterance>", "<|EOT|>", "<EOT>", "<|end|>", "<|return|>", "<|call|>",
        "<|endoftext|>", "<|end_of_text|>", "<|end_of_document|>", "<|eos|>", "<eos>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
    ];

    // In the harmony format an answer consists of several messages. <|end|> ends each of them but the last.
    private const string EndOfMessage = "<|end|>", EndOfMessages = "<|return|>";

    private static readonly Message s_question = new(Message.User, "Question"), s_answer = new(Message.Assistant, "Answer");

    /// <summary>The ids of the tokens, in ascending order.</summary>
    public static IReadOnlyList<int> Find(Tokenizer tokenizer)
    {
        var known = tokenizer.AddedTokens.Where(token => s_known.Contains(token.Content)).Select(token => token.Id);
        var ids = known.Concat(InTemplate(tokenizer)).ToHashSet();
        if (tokenizer.IdOf(EndOfMessage) is { } end && tokenizer.IdOf(EndOfMessages) is not null) ids.Remove(end);
        return [.. ids.Order()];
    }

    // The special token that the chat template writes after an answer. A token that it also writes between the
    // generation prompt and the answer begins something, so it does not end the answer.
    private static IEnumerable<int> InTemplate(Tokenizer tokenizer)
    {
        if (tokenizer.ChatTemplate is not { } template) return [];
        string prompt, chat;
        try
        {
            prompt = template.Render([s_question], addGenerationPrompt: true);
            chat = template.Render([s_question, s_answer], addGenerationPrompt: false);
        }
        catch (KoalaException)
        {
            // A raw prompt needs no template. Whoever renders a chat gets the error.
            return [];
        }
        var at = chat.LastIndexOf(s_answer.Content, StringComparison.Ordinal);
        if (at < 0) return [];
        var after = tokenizer.Encode(chat[(at + s_answer.Content.Length)..]);
        int[] end = [.. after.SkipWhile(id => string.IsNullOrWhiteSpace(tokenizer.TextOf(id))).Take(1).Where(tokenizer.IsSpecial)];
        var before = chat.StartsWith(prompt, StringComparison.Ordinal) ? tokenizer.Encode(chat[Math.Min(prompt.Length, at)..at]) : [];
        return end.Except(before);
    }
}
