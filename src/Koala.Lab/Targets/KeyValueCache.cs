using Koala.Lab.Runtime.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Keys and values of a batch of sequences, in memory taken once.</summary>
/// <remarks>
/// Each layer has one tensor of keys and one of values, [B·kvHeads·capacity, headDim]: the rows of a head of a sequence lie side by side, as
/// attention reads them (with the heads of a token side by side it took up to 1.6 times as long on a CPU). What stands behind a sequence's
/// length is stale and is overwritten by the next step, so dropping rejected tokens costs nothing.
/// </remarks>
public sealed class KeyValueCache : IDisposable
{
    private const int GpuRoom = 512;

    private readonly int[] _lengths;
    private readonly int _heads;
    private readonly Tensor _starts;   // the first row of each head of each sequence, [B,kvHeads,1]

    internal KeyValueCache(int layers, int batch, int capacity, int heads, int headDim, ScalarType dtype, Device device)
    {
        Batch = batch;
        Capacity = capacity;
        _heads = heads;
        _lengths = new int[batch];
        using var scope = NewDisposeScope();
        Graphs = new GraphCache(device);
        _starts = (arange(batch * heads, ScalarType.Int64, device) * capacity).view(batch, heads, 1).DetachFromDisposeScope();
        Keys = Allocate(layers, headDim, dtype, device);
        Values = Allocate(layers, headDim, dtype, device);
    }

    /// <summary>Sequences.</summary>
    public int Batch { get; }

    /// <summary>Tokens a sequence can hold.</summary>
    public int Capacity { get; }

    /// <summary>Committed tokens of each sequence.</summary>
    public IReadOnlyList<int> Lengths => _lengths;

    /// <summary>Work that reads and writes this memory, and so lives no longer than it.</summary>
    internal GraphCache Graphs { get; }

    internal Device Device => _starts.device;

    internal Tensor[] Keys { get; }

    internal Tensor[] Values { get; }

    /// <summary>Slots to make where so many are wanted and the memory is to serve others after: on a GPU more, since what is recorded is of one memory.</summary>
    internal static int RoundUp(int capacity, Device device) => device.type == DeviceType.CUDA ? (capacity + GpuRoom - 1) / GpuRoom * GpuRoom : capacity;

    /// <summary>Keeps the first <paramref name="length"/> tokens of a sequence and forgets the rest.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The sequence never held so many, or the length is negative.</exception>
    public void Truncate(int sequence, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _lengths[sequence]);
        _lengths[sequence] = length;
    }

    /// <summary>Of the tokens appended last, keeps some and closes the gaps; what already stands in its place is not copied.</summary>
    /// <param name="starts">Of each sequence, its length before they were appended.</param>
    /// <param name="accepted">Which of them stay, rising, counted from 0. The sequence is then as long as its start and these.</param>
    public void Compact(IReadOnlyList<int> starts, IReadOnlyList<IReadOnlyList<int>> accepted)
    {
        List<long> from = [], to = [];
        for (var b = 0; b < Batch; b++)
        {
            for (var i = 0; i < accepted[b].Count; i++)
            {
                if (accepted[b][i] == i) continue;
                for (var head = 0; head < _heads; head++)
                {
                    var row = ((long)b * _heads + head) * Capacity + starts[b];
                    from.Add(row + accepted[b][i]);
                    to.Add(row + i);
                }
            }
            Truncate(b, starts[b] + accepted[b].Count);
        }
        if (from.Count == 0) return;
        using var scope = NewDisposeScope();
        CacheScript.Move(Keys, Values, tensor(from, device: _starts.device), tensor(to, device: _starts.device));
    }

    /// <summary>Forgets everything; the memory stays.</summary>
    public void Clear() => Array.Clear(_lengths);

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        Graphs.Dispose();
        foreach (var tensor in Keys) tensor.Dispose();
        foreach (var tensor in Values) tensor.Dispose();
        _starts.Dispose();
    }

    /// <summary>Rows of the cache that places in its sequences have.</summary>
    /// <param name="positions">[B,T] or, the same in every sequence, [T]; below the capacity.</param>
    /// <returns>[B·kvHeads·T].</returns>
    internal Tensor Slots(Tensor positions) => (_starts + positions.unsqueeze(-2)).view(-1);

    /// <summary>Takes sequences of another cache over, each in the place of one of its own.</summary>
    /// <param name="from">Of the same target; stays as it is.</param>
    /// <param name="sourceSequences">Which of its sequences.</param>
    /// <param name="sequences">Which ones of this cache they replace, in the same order.</param>
    internal void CopyFrom(KeyValueCache from, IReadOnlyList<int> sourceSequences, IReadOnlyList<int> sequences)
    {
        using var scope = NewDisposeScope();
        var count = sourceSequences.Max(sequence => from.Lengths[sequence]);
        var sources = tensor(sourceSequences.Select(s => (long)s).ToArray(), device: _starts.device);
        var places = tensor(sequences.Select(s => (long)s).ToArray(), device: _starts.device);
        foreach (var (to, rows) in Keys.Zip(from.Keys).Concat(Values.Zip(from.Values)))
            Whole(to).narrow(2, 0, count).index_copy_(0, places, from.Whole(rows).narrow(2, 0, count).index_select(0, sources));
        for (var i = 0; i < sequences.Count; i++) _lengths[sequences[i]] = from.Lengths[sourceSequences[i]];
    }

    internal void Extend(int sequence, int tokens) => _lengths[sequence] += tokens;

    // [B,kvHeads,capacity,headDim]
    private Tensor Whole(Tensor rows) => rows.view(Batch, _heads, Capacity, -1);

    private Tensor[] Allocate(int layers, int headDim, ScalarType dtype, Device device) => Enumerable.Range(0, layers)
        .Select(_ => zeros((long)Batch * _heads * Capacity, headDim, dtype: dtype, device: device).DetachFromDisposeScope()).ToArray();
}
