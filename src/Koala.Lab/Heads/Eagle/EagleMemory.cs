using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>What an EAGLE drafter remembers of its sequences: the head's own key-value cache.</summary>
internal sealed class EagleMemory : IDisposable
{
    /// <param name="target">Of the head.</param>
    /// <param name="layers">K.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="capacity">Pairs and candidates that each can hold.</param>
    public EagleMemory(Target target, int layers, int batch, int capacity)
    {
        var config = target.Config;
        Cache = new KeyValueCache(layers, batch, capacity, config.KeyValueHeads, config.HeadDim, target.Dtype, target.Device);
        Slots = arange(capacity, ScalarType.Int64, target.Device).DetachFromDisposeScope();
    }

    public KeyValueCache Cache { get; }

    /// <summary>0 to capacity - 1.</summary>
    public Tensor Slots { get; }

    public void Dispose()
    {
        Cache.Dispose();
        Slots.Dispose();
    }
}
