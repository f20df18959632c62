using Koala.Lab.Data;
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
    private const int HoldOutEvery = 50;

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

    /// <summary>Reads and packs conversations, or takes them from the cache.</summary>
    /// <param name="target">The target, whose tokenizer and chat template are used.</param>
    /// <param name="path">The file of conversations for training.</param>
    /// <param name="validation">
    /// The file of held-out conversations. Null means the file beside <paramref name="path"/> whose name has
    /// "validation" in place of "train". If there is no such file, every fiftieth row of the data itself is held out.
    /// </param>
    /// <param name="options">The training options, which hold the row length.</param>
    /// <param name="cancel">Loading checks this token between conversations.</param>
    /// <exception cref="KoalaException">A file is malformed or holds too little.</exception>
    public static TrainingData Load(
        Target target, string path, string? validation, TrainingOptions options, CancellationToken cancel = default)
    {
        if (options.RowLength > target.Config.ContextLength)
            throw KoalaException.ForOption(nameof(options.RowLength),
                $"is {options.RowLength}, but {target.Name} has a context of {target.Config.ContextLength}", "lower it");
        var training = TokenCache.Load(path, target.Tokenizer, options.RowLength, cancel);
        IReadOnlyList<PackedRow> rows, heldOut;
        string hash;
        if ((validation ?? ValidationFileBeside(path)) is { } file)
        {
            var packed = TokenCache.Load(file, target.Tokenizer, options.RowLength, cancel);
            (rows, heldOut) = (training.Rows, packed.Rows);
            hash = $"{training.Hash}+{packed.Hash}";
        }
        else
        {
            rows = [.. training.Rows.Where((_, i) => i % HoldOutEvery != HoldOutEvery - 1)];
            heldOut = [.. training.Rows.Where((_, i) => i % HoldOutEvery == HoldOutEvery - 1)];
            hash = training.Hash;
        }
        if (rows.Count < options.Batch || heldOut.Count < options.Batch)
            throw new KoalaException(path,
                $"fills {rows.Count} rows of {options.RowLength} tokens for training and {heldOut.Count} for validation, "
                + $"but a step takes {options.Batch}",
                $"lower {new OptionName(nameof(options.Batch))} or {new OptionName(nameof(options.RowLength))}, or give more data");
        return new TrainingData(rows, [.. heldOut.Take(MaxHeldOutRows)], hash, training.Conversations, training.Cut);
    }

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
