using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Keys and values of a batch of sequences, in memory taken once.</summary>
/// <remarks>
/// Each layer has one tensor of keys and one of values, [B·capacity, kvHeads·headDim]: sequence b owns the rows from b·capacity on. What
/// stands behind a sequence's length is stale and is overwritten by the next step, so dropping rejected tokens costs nothing.
/// </remarks>
public sealed class KeyValueCache : IDisposable
{
    private readonly int[] _lengths;

    internal KeyValueCache(int layers, int batch, int capacity, long width, ScalarType dtype, Device device)
    {
        Batch = batch;
        Capacity = capacity;
        _lengths = new int[batch];
        Keys = Allocate(layers, width, dtype, device);
        Values = Allocate(layers, width, dtype, device);
    }

    /// <summary>Sequences.</summary>
    public int Batch { get; }

    /// <summary>Tokens a sequence can hold.</summary>
    public int Capacity { get; }

    /// <summary>Committed tokens of each sequence.</summary>
    public IReadOnlyList<int> Lengths => _lengths;

    internal Tensor[] Keys { get; }

    internal Tensor[] Values { get; }

    /// <summary>Keeps the first <paramref name="length"/> tokens of a sequence and forgets the rest.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The sequence never held so many, or the length is negative.</exception>
    public void Truncate(int sequence, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _lengths[sequence]);
        _lengths[sequence] = length;
    }

    /// <summary>Forgets everything; the memory stays.</summary>
    public void Clear() => Array.Clear(_lengths);

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var tensor in Keys) tensor.Dispose();
        foreach (var tensor in Values) tensor.Dispose();
    }

    internal void Extend(int sequence, int tokens) => _lengths[sequence] += tokens;

    private Tensor[] Allocate(int layers, long width, ScalarType dtype, Device device) => Enumerable.Range(0, layers)
        .Select(_ => zeros((long)Batch * Capacity, width, dtype: dtype, device: device).DetachFromDisposeScope()).ToArray();
}
