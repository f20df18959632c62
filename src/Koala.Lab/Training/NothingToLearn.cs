using Koala.Lab.Data;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Training;

/// <summary>Refuses data that a head cannot learn anything from, and says why.</summary>
internal static class NothingToLearn
{
    // The target itself says the first token of an answer, so the head begins with the second one.
    private const int FirstAhead = 2;

    /// <returns>The data, unchanged.</returns>
    /// <exception cref="KoalaException">No row has a position to learn from.</exception>
    public static PackedConversations Check(string path, PackedConversations packed, Target target)
    {
        if (TrainingData.HasPositions(packed.Rows, FirstAhead)) return packed;
        var chats = Conversations.Load(path, new UnusableChats());
        var roles = chats.SelectMany(chat => chat.Messages).ToArray();
        if (!roles.Any(message => message.Role == Message.Assistant))
        {
            var areOthers = roles.Any(message => message.Role is not (Message.User or Message.System));
            throw new KoalaException(path, $"has no message of the {Message.Assistant}, so there is nothing to learn{Roles.Seen(roles)}",
                areOthers
                    ? $"name the role of the answers {Message.Assistant}, and that of the prompts {Message.User}"
                    : "let the target answer the prompts first, by regenerate");
        }
        var starts = FirstAnswers(chats, target).ToArray();
        if (starts.Length > 0 && starts.Min() + FirstAhead > packed.RowLength)
            throw new KoalaException(path,
                $"has nothing to learn in rows of {packed.RowLength} tokens: its answers begin {starts.Min()} to {starts.Max()} "
                + "tokens after the beginning of their chats",
                starts.Min() + FirstAhead > target.Config.ContextLength
                    ? $"give chats that fit the context of {target.Config.ContextLength} tokens"
                    : (MessageTemplate)$"raise {new OptionName(nameof(TrainingOptions.RowLength))}, or give shorter prompts");
        throw new KoalaException(path, $"has nothing to learn: none of its answers has {FirstAhead} tokens",
            "give chats with longer answers");
    }

    // Where the first answer of each conversation that has one begins, in tokens.
    private static IEnumerable<int> FirstAnswers(IReadOnlyList<Conversation> chats, Target target)
    {
        var tokenizer = new ConversationTokenizer(target.Tokenizer);
        return chats.SelectMany(chat => tokenizer.TryTokenize(chat).Sequences)
            .Select(chat => Array.IndexOf(chat.LossMask, true)).Where(start => start >= 0);
    }
}
