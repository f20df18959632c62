using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>A tensor as a file declares it.</summary>
/// <param name="Name">The name in the file; of a GGUF file, the name that Hugging Face gives the same tensor.</param>
/// <param name="Dtype">The number type that its values come in: what it is stored in, or fp32 where it is stored in blocks of small numbers.</param>
/// <param name="Shape">Its dimensions, outermost first; empty for a scalar.</param>
/// <param name="Stored">What it is stored in, in the file's own word: BF16, Q4_1.</param>
public sealed record TensorInfo(string Name, ScalarType Dtype, IReadOnlyList<long> Shape, string Stored)
{
    /// <summary>How many numbers it holds: the product of <see cref="Shape"/>.</summary>
    public long Count => Shape.Aggregate(1L, (count, size) => count * size);
}
