using Koala.Lab.Data;
using Koala.Lab.Heads;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;

namespace Koala.Lab.Training;

/// <summary>The packed rows for training and validation, and the order of the rows in training.</summary>
/// <param name="rows">The rows for training.</param>
/// <param name="validation">The held-out rows.</param>
/// <param name="hash">
/// The hash of the files and the tokenizer that the rows come from. A resumed run must have the same.
/// </param>
/// <param name="conversations">The number of conversations in the rows for training.</param>
/// <param name="cut">The number of these conversations that are longer than a row. Their end is left out.</param>
public sealed class TrainingData(
    IReadOnlyList<PackedRow> rows, IReadOnlyList<PackedRow> validation, string hash, int conversations = 0, int cut = 0)
{
    // So many rows resolve differences in accuracy of one percent, and a validation takes a few seconds on two cores.
    private const int MaxHeldOutRows = 32;

    private (int Seed, long Epoch, int[] Order) _shuffled = (0, -1, []);

    /// <summary>The rows for training.</summary>
    public IReadOnlyList<PackedRow> Rows { get; } = rows;

    /// <summary>The held-out rows.</summary>
    public IReadOnlyList<PackedRow> Validation { get; } = validation;

    /// <summary>The hash of the files and the tokenizer that the rows come from.</summary>
    public string Hash { get; } = hash;

    /// <summary>The number of conversations in the rows for training.</summary>
    public int Conversations { get; } = conversations;

    /// <summary>The number of these conversations that are longer than a row. Their end is left out.</summary>
    public int Cut { get; } = cut;

    /// <summary>The number of tokens per row.</summary>
    public int RowLength => Rows[0].Tokens.Length;

    /// <summary>
    /// What a user should know about the data, a sentence each: chats that were left out, that lose their end, and that
    /// there is little to learn. Options are named in them.
    /// </summary>
    public IReadOnlyList<MessageTemplate> Notes { get; init; } = [];

    /// <summary>Reads and packs conversations, or takes them from the cache.</summary>
    /// <param name="target">The target, whose tokenizer and chat template are used.</param>
    /// <param name="path">The file of conversations for training.</param>
    /// <param name="validation">
    /// The file of held-out conversations. Null means the file beside <paramref name="path"/> whose name has
    /// "validation" in place of "train". If there is no such file, a part of the data itself is held out: every fiftieth
    /// row, or every tenth conversation of a small file.
    /// </param>
    /// <param name="options">The training options, which hold the row length.</param>
    /// <param name="cancel">Loading checks this token between conversations.</param>
    /// <exception cref="KoalaException">A file is malformed, holds too little, or holds nothing to learn.</exception>
    public static TrainingData Load(
        Target target, string path, string? validation, TrainingOptions options, CancellationToken cancel = default)
    {
        if (options.RowLength > target.Config.ContextLength)
            throw KoalaException.ForOption(nameof(options.RowLength),
                $"is {options.RowLength}, but {target.Name} has a context of {target.Config.ContextLength}", "lower it");
        var longest = StepMemory.LongestRow(target, options.Batch);
        var training = Packed(path, options.RowLength);
        var rowLength = training.RowLength;
        var held = (validation ?? ValidationFileBeside(path)) is { } file ? Packed(file, rowLength) : null;
        var (rows, heldOut, hash) = held is null
            ? HoldOut.Split(training)
            : (training.Rows, held.Rows, $"{training.Hash}+{held.Hash}");
        if (heldOut.Count == 0 || rows.Count == 0)
            throw new KoalaException(path, "has one conversation to learn from, but one is trained on and another is held out",
                $"give more conversations, or name a file to hold out by {new OptionName(nameof(validation))}");
        if (rows.Count < options.Batch)
            throw new KoalaException(path,
                $"fills {rows.Count} rows of {rowLength} tokens for training, but a step takes {options.Batch}",
                $"give more data, set {new OptionName(nameof(options.Batch))} to {rows.Count}, "
                + $"or lower {new OptionName(nameof(options.RowLength))}");
        IEnumerable<MessageTemplate> notes = DataNotes.Of(path, training, rows, options);
        return new TrainingData(rows, [.. heldOut.Take(MaxHeldOutRows)], hash, training.Conversations, training.Cut)
        {
            Notes = [.. held is null ? notes : notes.Concat(DataNotes.Unusable(validation ?? ValidationFileBeside(path)!, held))],
        };

        PackedConversations Packed(string file, int? length)
        {
            var packed = TokenCache.Load(file, target.Tokenizer, length, longest, cancel);
            return NothingToLearn.Check(file, packed, target);
        }
    }

    /// <summary>Checks that the answers are long enough for every part of a head to learn.</summary>
    /// <param name="path">The file that the data comes from.</param>
    /// <param name="head">The head.</param>
    /// <exception cref="KoalaException">A part of the head predicts a token beyond the end of every answer.</exception>
    internal void CheckFor(string path, HeadOptions head)
    {
        // The target itself says the first token of an answer; a depth d predicts the one d + 1 after it.
        var learning = Enumerable.Range(0, head.Depths).TakeWhile(depth => HasPositions(Rows, ahead: 2 + depth)).Count();
        if (learning < head.Depths)
            throw new KoalaException(path,
                $"has no answer of more than {learning + 1} tokens within a row of {RowLength}, so {head.Depths - learning} of "
                + $"{head.Depths} heads would learn nothing",
                $"set {new OptionName("Heads")} to {Math.Max(learning, 1)}, or give longer answers");
    }

    internal static bool HasPositions(IReadOnlyList<PackedRow> rows, int ahead) => rows.Any(row => row.LabelPositions(ahead).Any());

    private static string? ValidationFileBeside(string path)
    {
        var name = Path.GetFileName(path).Replace("train", "validation", StringComparison.Ordinal);
        var file = Path.Combine(Path.GetDirectoryName(path) ?? "", name);
        return name != Path.GetFileName(path) && File.Exists(file) ? file : null;
    }

    /// <summary>
    /// The rows of a step. Each epoch goes through all rows once, in an order that depends on the seed and the epoch
    /// only. So the step alone determines the position in the data.
    /// </summary>
    /// <param name="step">The step, counted from 0.</param>
    /// <param name="batch">The number of rows per step.</param>
    /// <param name="seed">The seed of the order.</param>
    public IReadOnlyList<PackedRow> Batch(int step, int batch, int seed)
    {
        PackedRow RowAt(long index) => Rows[Order(seed, index / Rows.Count)[index % Rows.Count]];
        return [.. Enumerable.Range(0, batch).Select(i => RowAt((long)step * batch + i))];
    }

    /// <summary>How often each token of a target's vocabulary occurs in the answers of the training data.</summary>
    /// <param name="vocabulary">The size of the target's vocabulary.</param>
    public long[] CountTokens(int vocabulary)
    {
        var counts = new long[vocabulary];
        foreach (var row in Rows)
            for (var t = 0; t < row.Tokens.Length; t++)
                if (row.LossMask[t]) counts[row.Tokens[t]]++;
        return counts;
    }

    private int[] Order(int seed, long epoch)
    {
        if (_shuffled.Seed == seed && _shuffled.Epoch == epoch) return _shuffled.Order;
        int[] order = [.. Enumerable.Range(0, Rows.Count)];
        var random = RandomStreams.Create(seed, (int)epoch);
        for (var i = order.Length - 1; i > 0; i--)
        {
            var j = random.Next(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }
        _shuffled = (seed, epoch, order);
        return order;
    }
}
