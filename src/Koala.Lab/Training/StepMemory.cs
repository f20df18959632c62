using Koala.Lab.Runtime.Machine;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Lab.Training;

/// <summary>Estimates the memory of a training step, most of which is distributions over the vocabulary.</summary>
internal static class StepMemory
{
    // The target's p and log p, and the logits, q, log q and the gradients of four depths.
    private const int DistributionsPerToken = 2 + 4 * 4;

    // The other half is for the weights, the optimizer and everything else.
    private const double Share = 0.5;

    // A row is never chosen shorter for lack of memory; the estimate is rough.
    private const int Shortest = 64;

    /// <summary>The most tokens of a row for which a step is likely to fit into memory, at most the target's context.</summary>
    /// <param name="target">The target.</param>
    /// <param name="batch">The number of rows per step.</param>
    public static int LongestRow(Target target, int batch)
    {
        var memory = target.Device.type == DeviceType.CUDA && MachineInfo.Current.Gpu is { } gpu
            ? gpu.MemoryBytes
            : MachineInfo.Current.MemoryBytes;
        var perToken = (double)batch * DistributionsPerToken * sizeof(float) * target.Config.VocabularySize;
        return Math.Min(target.Config.ContextLength, (int)Math.Max(Shortest, Math.Min(Share * memory / perToken, int.MaxValue)));
    }
}
