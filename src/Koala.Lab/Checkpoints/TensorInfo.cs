using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>A tensor as a file declares it.</summary>
/// <param name="Name">The name in the file.</param>
/// <param name="Dtype">The number type it is stored in.</param>
/// <param name="Shape">Its dimensions, outermost first; empty for a scalar.</param>
public sealed record TensorInfo(string Name, ScalarType Dtype, IReadOnlyList<long> Shape)
{
    /// <summary>How many numbers it holds: the product of <see cref="Shape"/>.</summary>
    public long Count => Shape.Aggregate(1L, (count, size) => count * size);
}
