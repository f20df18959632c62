using Koala.Lab.Data;
using MathNet.Numerics.Random;

namespace Koala.Lab.Training;

/// <summary>Packed rows to train on and to look at, and the order they come in.</summary>
/// <param name="rows">To train on.</param>
/// <param name="validation">Held out.</param>
/// <param name="hash">Of the files and the tokenizer behind the rows; a resumed run must find the same.</param>
public sealed class TrainingData(IReadOnlyList<PackedRow> rows, IReadOnlyList<PackedRow> validation, string hash)
{
    private (int Seed, long Epoch, int[] Order) _shuffled = (0, -1, []);

    /// <summary>Rows to train on.</summary>
    public IReadOnlyList<PackedRow> Rows { get; } = rows;

    /// <summary>Rows held out.</summary>
    public IReadOnlyList<PackedRow> Validation { get; } = validation;

    /// <summary>Of the files and the tokenizer behind the rows.</summary>
    public string Hash { get; } = hash;

    /// <summary>
    /// The rows of a step: each epoch goes through all rows once, in an order that depends on the seed and the epoch only. The step is
    /// thus the whole position in the data.
    /// </summary>
    /// <param name="step">Counted from 0.</param>
    /// <param name="batch">Rows a step.</param>
    /// <param name="seed">Of the order.</param>
    public IReadOnlyList<PackedRow> Batch(int step, int batch, int seed) =>
        [.. Enumerable.Range(0, batch).Select(i => (long)step * batch + i).Select(at => Rows[Order(seed, at / Rows.Count)[at % Rows.Count]])];

    private int[] Order(int seed, long epoch)
    {
        if (_shuffled.Seed == seed && _shuffled.Epoch == epoch) return _shuffled.Order;
        int[] order = [.. Enumerable.Range(0, Rows.Count)];
        var random = new Xoshiro256StarStar(unchecked(seed * 0x3779_97f5 + (int)epoch), threadSafe: false);
        for (var i = order.Length - 1; i > 0; i--)
        {
            var j = random.Next(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }
        _shuffled = (seed, epoch, order);
        return order;
    }
}
