using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets.Fused;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Keys and values of a batch of sequences, in memory that is allocated once.</summary>
/// <remarks>
/// Each layer has one tensor of keys and one of values, [B·kvHeads·capacity, headDim]. The rows of one head of a
/// sequence are adjacent, as attention reads them (with the heads of a token adjacent it took up to 1.6 times as long
/// on a CPU). What lies behind a sequence's length is stale and is overwritten by the next step, so dropping rejected
/// tokens costs nothing.
/// </remarks>
public sealed unsafe class KeyValueCache : IDisposable
{
    private const int GpuBucket = 512;

    private readonly int[] _lengths;
    private bool _disposed;
    private readonly int _heads;
    private readonly nint[] _keyAddresses = [];     // of each layer's tensor; empty where kernels of ours do not read it
    private readonly nint[] _valueAddresses = [];
    private Tensor? _addresses;
    private readonly Tensor _starts;   // the first row of each head of each sequence, [B,kvHeads,1]

    internal KeyValueCache(int layers, int batch, int capacity, int heads, int headDim, ScalarType dtype, Device device)
    {
        Batch = batch;
        Capacity = capacity;
        _heads = heads;
        _lengths = new int[batch];
        using var scope = NewDisposeScope();
        Graphs = new GraphCache(device);
        var starts = arange(batch * heads, ScalarType.Int64, device) * capacity;
        _starts = starts.view(batch, heads, 1).DetachFromDisposeScope();
        Keys = Allocate(layers, headDim, dtype, device);
        Values = Allocate(layers, headDim, dtype, device);
        if (device.type != DeviceType.CPU || dtype != ScalarType.Float32) return;
        _keyAddresses = [.. Keys.Select(keys => (nint)HostMemory.Floats(keys))];
        _valueAddresses = [.. Values.Select(values => (nint)HostMemory.Floats(values))];
    }

    /// <summary>The number of sequences.</summary>
    public int Batch { get; }

    /// <summary>The number of tokens that a sequence can hold.</summary>
    public int Capacity { get; }

    /// <summary>The number of committed tokens of each sequence.</summary>
    public IReadOnlyList<int> Lengths => _lengths;

    /// <summary>The captured graphs that read and write this memory; they live as long as it does.</summary>
    internal GraphCache Graphs { get; }

    internal Device Device => _starts.device;

    private IEnumerable<int> Heads => Enumerable.Range(0, _heads);

    internal Tensor[] Keys { get; }

    /// <summary>The addresses of each layer's keys and values on a GPU, [layers,2], for kernels of our own.</summary>
    internal Tensor Addresses => _addresses ??= tensor(
        Keys.Zip(Values).SelectMany(layer => (long[])[CudaProgram.Address(layer.First), CudaProgram.Address(layer.Second)]).ToArray(),
        device: Device).DetachFromDisposeScope();

    internal Tensor[] Values { get; }

    /// <summary>
    /// The capacity to allocate where a cache will be used again. On a GPU it is rounded up, because captured graphs
    /// belong to one cache and a larger cache serves more answers.
    /// </summary>
    internal static int RoundUp(int capacity, Device device) =>
        device.type == DeviceType.CUDA ? (capacity + GpuBucket - 1) / GpuBucket * GpuBucket : capacity;

    /// <summary>Keeps the first <paramref name="length"/> tokens of a sequence and forgets the rest.</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// There is no such sequence, or the length is negative or above the sequence's present length.
    /// </exception>
    public void Truncate(int sequence, int length)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfNegative(sequence);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sequence, Batch);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _lengths[sequence]);
        _lengths[sequence] = length;
    }

    /// <summary>
    /// Keeps some of the tokens that were appended last and closes the gaps. Tokens that are at their new index already
    /// are not copied.
    /// </summary>
    /// <param name="starts">The length of each sequence before the tokens were appended.</param>
    /// <param name="accepted">
    /// The indices of the appended tokens that stay, for each sequence, counted from 0 and ascending. The sequence's
    /// new length is its start plus their number.
    /// </param>
    /// <exception cref="ArgumentException">
    /// There are other numbers of sequences than in the cache, or an index is that of no token.
    /// </exception>
    public void Compact(IReadOnlyList<int> starts, IReadOnlyList<IReadOnlyList<int>> accepted)
    {
        ThrowIfDisposed();
        ArgumentNullException.ThrowIfNull(starts);
        ArgumentNullException.ThrowIfNull(accepted);
        ArgumentOutOfRangeException.ThrowIfNotEqual(starts.Count, Batch, nameof(starts));
        ArgumentOutOfRangeException.ThrowIfNotEqual(accepted.Count, Batch, nameof(accepted));
        for (var b = 0; b < Batch; b++)
        {
            var previous = -1;
            foreach (var index in accepted[b])
            {
                if (index <= previous || starts[b] < 0 || starts[b] + index >= _lengths[b])
                    throw new ArgumentOutOfRangeException(nameof(accepted), index,
                        "The indices of accepted tokens ascend and are those of tokens in the cache.");
                previous = index;
            }
        }
        List<(int Sequence, int From, int To)> moves = [];
        for (var b = 0; b < Batch; b++)
        {
            for (var i = 0; i < accepted[b].Count; i++)
                if (accepted[b][i] != i) moves.Add((b, starts[b] + accepted[b][i], starts[b] + i));
            Truncate(b, starts[b] + accepted[b].Count);
        }
        if (moves.Count > 0) Move(moves);
    }

    /// <summary>Forgets everything; the memory stays allocated.</summary>
    public void Clear()
    {
        ThrowIfDisposed();
        Array.Clear(_lengths);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _disposed = true;
        Graphs.Dispose();
        foreach (var tensor in Keys) tensor.Dispose();
        foreach (var tensor in Values) tensor.Dispose();
        _starts.Dispose();
        _addresses?.Dispose();
    }

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposed, this);

    /// <summary>The keys of a layer, [B·kvHeads·capacity,headDim]; for an fp32 cache on a CPU.</summary>
    internal float* KeyFloats(int layer) => (float*)_keyAddresses[layer];

    /// <summary>The values of a layer, as <see cref="KeyFloats"/>.</summary>
    internal float* ValueFloats(int layer) => (float*)_valueAddresses[layer];

    /// <summary>The row of the cache's tensors that belongs to a slot of a head of a sequence.</summary>
    internal long Row(int sequence, int head, int slot) => ((long)sequence * _heads + head) * Capacity + slot;

    /// <summary>The rows of the cache's tensors that belong to slots of its sequences.</summary>
    /// <param name="positions">
    /// The slots, [B,T], or [T] where they are the same in every sequence; below the capacity.
    /// </param>
    /// <returns>The rows, [B·kvHeads·T].</returns>
    internal Tensor Slots(Tensor positions) => (_starts + positions.unsqueeze(-2)).view(-1);

    /// <summary>Copies sequences of another cache over sequences of this one.</summary>
    /// <param name="from">A cache of the same target, which stays as it is.</param>
    /// <param name="sourceSequences">The sequences of <paramref name="from"/> to copy.</param>
    /// <param name="sequences">The sequences of this cache that they replace, in the same order.</param>
    internal void CopyFrom(KeyValueCache from, IReadOnlyList<int> sourceSequences, IReadOnlyList<int> sequences)
    {
        using var scope = NewDisposeScope();
        var count = sourceSequences.Max(sequence => from.Lengths[sequence]);
        var sources = tensor(sourceSequences.Select(s => (long)s).ToArray(), device: _starts.device);
        var destinations = tensor(sequences.Select(s => (long)s).ToArray(), device: _starts.device);
        foreach (var (to, rows) in Keys.Zip(from.Keys).Concat(Values.Zip(from.Values)))
        {
            var copied = from.BySequence(rows).narrow(2, 0, count).index_select(0, sources);
            BySequence(to).narrow(2, 0, count).index_copy_(0, destinations, copied);
        }
        for (var i = 0; i < sequences.Count; i++) _lengths[sequences[i]] = from.Lengths[sourceSequences[i]];
    }

    internal void Extend(int sequence, int tokens) => _lengths[sequence] += tokens;

    private void Move(List<(int Sequence, int From, int To)> moves)
    {
        if (CacheMoves.TryMove(this, _heads, moves)) return;
        using var scope = NewDisposeScope();
        Tensor Rows(Func<(int Sequence, int From, int To), int> slot) =>
            tensor((long[])[.. moves.SelectMany(move => Heads.Select(head => Row(move.Sequence, head, slot(move))))], device: Device);
        CacheScript.Move(Keys, Values, Rows(move => move.From), Rows(move => move.To));
    }

    // [B,kvHeads,capacity,headDim]
    private Tensor BySequence(Tensor rows) => rows.view(Batch, _heads, Capacity, -1);

    private Tensor[] Allocate(int layers, int headDim, ScalarType dtype, Device device)
    {
        var rows = (long)Batch * _heads * Capacity;
        Tensor Layer() => zeros(rows, headDim, dtype: dtype, device: device).DetachFromDisposeScope();
        return [.. Enumerable.Range(0, layers).Select(_ => Layer())];
    }
}
