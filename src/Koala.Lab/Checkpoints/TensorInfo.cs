using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>A tensor, as a file declares it.</summary>
/// <param name="Name">The name in the file; for a target, the name that Hugging Face gives the same tensor.</param>
/// <param name="Dtype">
/// The dtype of the values that are read: the dtype in the file, or fp32 if the file stores blocks of quantized numbers. Null for a
/// number type that Koala does not read.
/// </param>
/// <param name="Shape">The sizes of its dimensions, outermost first; empty for a scalar.</param>
/// <param name="Stored">The file format's name of the number type that the tensor is stored in: BF16, Q4_1.</param>
public sealed record TensorInfo(string Name, ScalarType? Dtype, IReadOnlyList<long> Shape, string Stored)
{
    /// <summary>The number of its elements: the product of <see cref="Shape"/>.</summary>
    public long Count => Shape.Aggregate(1L, (count, size) => count * size);
}
