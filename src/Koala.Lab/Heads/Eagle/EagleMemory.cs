using Koala.Lab.Checkpoints;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>The memory of an EAGLE drafter: the head's own key-value cache.</summary>
internal sealed class EagleMemory : IDisposable
{
    private readonly Target _target;
    private readonly ModelConfig _config;

    /// <param name="target">The target of the head.</param>
    /// <param name="config">The sizes of the head's layers.</param>
    /// <param name="layers">The number of the head's layers, K.</param>
    /// <param name="batch">The number of sequences.</param>
    /// <param name="capacity">The number of pairs and candidates that each sequence can hold.</param>
    public EagleMemory(Target target, ModelConfig config, int layers, int batch, int capacity)
    {
        (_target, _config) = (target, config);
        Cache = new KeyValueCache(layers, batch, capacity, config.KeyValueHeads, config.HeadDim, target.Dtype, target.Device);
        Slots = arange(capacity, ScalarType.Int64, target.Device).DetachFromDisposeScope();
    }

    public KeyValueCache Cache { get; }

    /// <summary>The indices of the slots, 0 to capacity - 1, int64.</summary>
    public Tensor Slots { get; }

    /// <summary>
    /// Whether a drafter for this target, of this batch size and capacity, can use the memory. The graphs that were captured over it read
    /// the weights of one target.
    /// </summary>
    public bool Serves(Target target, int batch, int capacity) =>
        ReferenceEquals(_target, target) && Cache.Batch == batch && Cache.Capacity >= capacity;

    /// <summary>
    /// This memory if it has room for more candidates, else larger memory with the same contents, which replaces it. A tree that is cut
    /// only after it was grown is stored in full, so it may need more slots than the sequence was expected to hold.
    /// </summary>
    /// <param name="drafted">The slots behind the committed pairs that are filled already.</param>
    /// <param name="count">The slots that are needed behind them.</param>
    /// <param name="target">The target of the head.</param>
    /// <param name="layers">The number of the head's layers.</param>
    public EagleMemory WithRoom(int drafted, int count, Target target, int layers)
    {
        var needed = Cache.Lengths.Max() + drafted + count;
        if (needed <= Cache.Capacity) return this;
        var lengths = Cache.Lengths.ToArray();
        var larger = new EagleMemory(target, _config, layers, Cache.Batch, needed + needed / 2);
        for (var b = 0; b < Cache.Batch; b++) Cache.Extend(b, drafted);
        int[] all = [.. Enumerable.Range(0, Cache.Batch)];
        larger.Cache.CopyFrom(Cache, all, all);
        for (var b = 0; b < Cache.Batch; b++) larger.Cache.Truncate(b, lengths[b]);
        Dispose();
        return larger;
    }

    public void Dispose()
    {
        Cache.Dispose();
        Slots.Dispose();
    }
}
