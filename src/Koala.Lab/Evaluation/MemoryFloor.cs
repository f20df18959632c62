using System.Globalization;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation;

/// <summary>
/// What the memory of the device allows: a step of the target over one token reads all its weights once. Keys and values are not counted.
/// </summary>
/// <param name="GBPerSecond">The measured speed of the memory, in 10⁹ bytes per second: reading on a CPU, copying on a GPU.</param>
/// <param name="WeightBytes">The bytes of the weights that a step reads; of an embedding that is not the LM head it reads one row.</param>
/// <param name="StepMs">The milliseconds that reading them takes.</param>
/// <param name="Share">
/// <paramref name="StepMs"/> divided by the baseline's median step; 1 is as fast as the memory allows. It can be more if the weights stay
/// in a cache.
/// </param>
public sealed record MemoryFloor(double GBPerSecond, long WeightBytes, double StepMs, double Share)
{
    /// <summary>Measures the memory of the target's device, which takes up to a second.</summary>
    /// <param name="target">The target.</param>
    /// <param name="stepMs">The milliseconds of a step over one token.</param>
    internal static MemoryFloor Measure(Target target, double stepMs) =>
        Of(MemoryBandwidth.Read(target.Device), target.Model.BytesPerStep, stepMs);

    internal static MemoryFloor Of(double bandwidth, long bytes, double stepMs)
    {
        var floor = bytes / bandwidth / 1e6;
        return new MemoryFloor(bandwidth, bytes, floor, floor / stepMs);
    }

    /// <summary>The floor in a line.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{StepMs:F2} ms to read {WeightBytes / 1e6:F0} MB of weights at {GBPerSecond:F0} GB/s, {Share:P0} of the baseline's step");
}
