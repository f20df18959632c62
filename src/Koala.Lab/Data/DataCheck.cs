using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Data;

/// <summary>Why some rows of a file are not used.</summary>
/// <param name="Reason">What is wrong with them.</param>
/// <param name="Fix">How to mend it.</param>
/// <param name="Rows">Their number.</param>
/// <param name="First">Where the first of them stand: file and line, element or row.</param>
public sealed record SkippedRows(string Reason, string Fix, int Rows, IReadOnlyList<string> First);

/// <summary>The tokens of the chats that are used.</summary>
/// <param name="Total">Their number.</param>
/// <param name="Learned">Those that a head learns from: the answers and the ends of their turns.</param>
/// <param name="Median">The median of a chat.</param>
/// <param name="Longest">The longest chat.</param>
public sealed record ChatTokens(long Total, long Learned, int Median, int Longest);

/// <summary>What training would use of a file of chats, what it would leave out, and why.</summary>
public sealed record DataCheck
{
    // A report names so many reasons, and so many places of each.
    private const int MostReasons = 20, MostPlaces = 3;

    // So many chats are tokenized at once.
    private const int AtOnce = 4096;

    /// <summary>The files that were read.</summary>
    public required IReadOnlyList<string> Files { get; init; }

    /// <summary>The number of rows.</summary>
    public required int Rows { get; init; }

    /// <summary>The number of chats that are used.</summary>
    public required int Used { get; init; }

    /// <summary>The number of rows that are not used.</summary>
    public int Skipped => Rows - Used;

    /// <summary>The reasons, the most frequent first.</summary>
    public required IReadOnlyList<SkippedRows> Reasons { get; init; }

    /// <summary>The number of messages in the chats that are used, by role.</summary>
    public required IReadOnlyDictionary<string, long> Messages { get; init; }

    /// <summary>Their tokens; null if no tokenizer was given.</summary>
    public ChatTokens? Tokens { get; init; }

    /// <summary>Reads a file and says what training would do with it.</summary>
    /// <param name="path">JSON lines or a JSON array, also with gzip (.jsonl.gz, .json.gz), a Parquet file, or a data set's folder.</param>
    /// <param name="tokenizer">The tokenizer of the target, whose template may refuse chats; null to leave this out.</param>
    /// <param name="cancel">A token that is checked between chats.</param>
    /// <exception cref="KoalaException">A file cannot be read or is damaged, or the tokenizer has no chat template.</exception>
    public static DataCheck Run(string path, Tokenizer? tokenizer = null, CancellationToken cancel = default)
    {
        KoalaException.ThrowIfNull(path);
        var conversations = tokenizer is null ? null : new ConversationTokenizer(tokenizer);
        var counts = new Counts();
        foreach (var chunk in InputRows.Read(path).Select(row => (row.Line, row.Row)).Chunk(AtOnce))
        {
            cancel.ThrowIfCancellationRequested();
            var checks = chunk.AsParallel().AsOrdered().Select(row => Check(row.Line, row.Row, conversations));
            foreach (var (chat, sequences, fault) in checks) counts.Add(chat, sequences, fault);
        }
        return counts.ToReport(DatasetFolder.FilesOf(path), hasTokens: tokenizer is not null);
    }

    private static (Conversation? Chat, IReadOnlyList<TokenizedConversation> Sequences, KoalaException? Fault) Check(
        int line, Checkpoints.JsonSection row, ConversationTokenizer? tokenizer)
    {
        try
        {
            var chat = Conversations.Read(row, line);
            if (!chat.Messages.Any(message => message.Role == Message.Assistant))
                throw row.Fault(MessageList.KeyOf(row)!, $"has no answer, so there is nothing to learn{Roles.Seen(chat.Messages)}",
                    "let the target answer it first, by regenerate");
            var (sequences, refusal) = tokenizer?.TryTokenize(chat) ?? ([], null);
            return refusal is null
                ? (chat, sequences, null)
                : (null, [], row.Fault(MessageList.KeyOf(row)!, refusal.Fault, refusal.Fix, refusal));
        }
        catch (KoalaException fault)
        {
            return (null, [], fault);
        }
    }

    private sealed class Counts
    {
        private readonly Dictionary<string, (string Fix, int Rows, List<string> First)> _reasons = [];
        private readonly SortedDictionary<string, long> _messages = new(StringComparer.Ordinal);
        private readonly List<int> _lengths = [];
        private int _rows;
        private int _used;
        private long _learned;

        public void Add(Conversation? chat, IReadOnlyList<TokenizedConversation> sequences, KoalaException? fault)
        {
            _rows++;
            if (chat is null) AddReason(fault!);
            else _used++;
            foreach (var message in chat?.Messages ?? []) _messages[message.Role] = _messages.GetValueOrDefault(message.Role) + 1;
            foreach (var sequence in sequences)
            {
                _lengths.Add(sequence.Tokens.Length);
                _learned += sequence.LossMask.Count(isLearned => isLearned);
            }
        }

        public DataCheck ToReport(IReadOnlyList<string> files, bool hasTokens)
        {
            _lengths.Sort();
            return new DataCheck
            {
                Files = files,
                Rows = _rows,
                Used = _used,
                Reasons =
                [
                    .. _reasons.OrderByDescending(reason => reason.Value.Rows).Take(MostReasons)
                        .Select(reason => new SkippedRows(reason.Key, reason.Value.Fix, reason.Value.Rows, reason.Value.First)),
                ],
                Messages = _messages,
                Tokens = !hasTokens ? null : new ChatTokens(_lengths.Sum(length => (long)length), _learned,
                    _lengths.Count == 0 ? 0 : _lengths[_lengths.Count / 2], _lengths.Count == 0 ? 0 : _lengths[^1]),
            };
        }

        // Each row may have a reason of its own, such as one that quotes it; those beyond a number count together.
        private void AddReason(KoalaException fault)
        {
            const string Others = "other reasons";
            var reason = _reasons.Count < 10 * MostReasons || _reasons.ContainsKey(fault.Fault) ? fault.Fault : Others;
            var (fix, rows, first) = _reasons.GetValueOrDefault(reason, (fault.Fix, 0, []));
            if (first.Count < MostPlaces) first.Add(fault.Where);
            _reasons[reason] = (fix, rows + 1, first);
        }
    }
}
