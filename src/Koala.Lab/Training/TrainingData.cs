using Koala.Lab.Data;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;

namespace Koala.Lab.Training;

/// <summary>Packed rows to train on and to look at, and the order they come in.</summary>
/// <param name="rows">To train on.</param>
/// <param name="validation">Held out.</param>
/// <param name="hash">Of the files and the tokenizer behind the rows; a resumed run must find the same.</param>
/// <param name="conversations">Conversations in the rows to train on.</param>
/// <param name="cut">Of these, longer than a row: their end is left out.</param>
public sealed class TrainingData(IReadOnlyList<PackedRow> rows, IReadOnlyList<PackedRow> validation, string hash, int conversations = 0, int cut = 0)
{
    private const int HoldOutEvery = 50;

    // Enough to tell accuracies a percent apart, and a few seconds a look on two cores.
    private const int MostHeldOut = 32;

    private (int Seed, long Epoch, int[] Order) _shuffled = (0, -1, []);

    /// <summary>Rows to train on.</summary>
    public IReadOnlyList<PackedRow> Rows { get; } = rows;

    /// <summary>Rows held out.</summary>
    public IReadOnlyList<PackedRow> Validation { get; } = validation;

    /// <summary>Of the files and the tokenizer behind the rows.</summary>
    public string Hash { get; } = hash;

    /// <summary>Conversations in the rows to train on.</summary>
    public int Conversations { get; } = conversations;

    /// <summary>Of these, longer than a row: their end is left out.</summary>
    public int Cut { get; } = cut;

    /// <summary>Reads and packs conversations, or takes them from the cache.</summary>
    /// <param name="target">Its tokenizer and chat template are used.</param>
    /// <param name="path">Conversations to train on.</param>
    /// <param name="validation">
    /// Conversations held out. Null: the file beside <paramref name="path"/> whose name says validation for train, where there is one, else every
    /// fiftieth row of the data itself.
    /// </param>
    /// <param name="options">The row length.</param>
    /// <param name="cancel">Looked at between conversations.</param>
    /// <exception cref="KoalaException">A file is wrong, or holds too little.</exception>
    public static TrainingData Load(Target target, string path, string? validation, TrainingOptions options, CancellationToken cancel = default)
    {
        if (options.RowLength > target.Config.ContextLength)
            throw KoalaException.ForOption(nameof(options.RowLength),
                $"is {options.RowLength}, but {target.Name} has a context of {target.Config.ContextLength}", "lower it");
        var training = TokenCache.Load(path, target.Tokenizer, options.RowLength, cancel);
        var (rows, held, hash) = (training.Rows, (IReadOnlyList<PackedRow>)[], training.Hash);
        if ((validation ?? Beside(path)) is { } file)
        {
            var packed = TokenCache.Load(file, target.Tokenizer, options.RowLength, cancel);
            (held, hash) = (packed.Rows, $"{hash}+{packed.Hash}");
        }
        else
        {
            held = [.. rows.Where((_, i) => i % HoldOutEvery == HoldOutEvery - 1)];
            rows = [.. rows.Where((_, i) => i % HoldOutEvery != HoldOutEvery - 1)];
        }
        if (rows.Count < options.Batch || held.Count < options.Batch)
            throw new KoalaException(path, $"fills {rows.Count} rows of {options.RowLength} tokens to train on and {held.Count} to hold out, but a step takes {options.Batch}",
                $"lower {new OptionName(nameof(options.Batch))} or {new OptionName(nameof(options.RowLength))}, or give more data");
        return new TrainingData(rows, [.. held.Take(MostHeldOut)], hash, training.Conversations, training.Cut);
    }

    private static string? Beside(string path)
    {
        var name = Path.GetFileName(path).Replace("train", "validation", StringComparison.Ordinal);
        var beside = Path.Combine(Path.GetDirectoryName(path) ?? "", name);
        return name != Path.GetFileName(path) && File.Exists(beside) ? beside : null;
    }

    /// <summary>
    /// The rows of a step: each epoch goes through all rows once, in an order that depends on the seed and the epoch only. The step is
    /// thus the whole position in the data.
    /// </summary>
    /// <param name="step">Counted from 0.</param>
    /// <param name="batch">Rows a step.</param>
    /// <param name="seed">Of the order.</param>
    public IReadOnlyList<PackedRow> Batch(int step, int batch, int seed) =>
        [.. Enumerable.Range(0, batch).Select(i => (long)step * batch + i).Select(at => Rows[Order(seed, at / Rows.Count)[at % Rows.Count]])];

    /// <summary>How often each token of a target's vocabulary occurs in the answers to learn from.</summary>
    /// <param name="vocabulary">Size of the target's vocabulary.</param>
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
