using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>A number type of GGUF files: plain numbers, or blocks of quantized numbers that share their scales.</summary>
/// <param name="Id">The number that stands for it in files.</param>
/// <param name="Name">Its name in the GGUF format.</param>
/// <param name="Elements">The number of elements per block; 1 for plain types.</param>
/// <param name="Bytes">The number of bytes per block.</param>
/// <param name="Dtype">The dtype of the numbers that are read: the plain type itself, or fp32 for blocks.</param>
/// <param name="Decode">Decodes whole blocks; null for plain types.</param>
internal sealed record GgufType(uint Id, string Name, int Elements, int Bytes, ScalarType Dtype, GgufType.Decoder? Decode = null)
{
    /// <summary>Decodes whole blocks to all their numbers.</summary>
    internal delegate void Decoder(ReadOnlySpan<byte> blocks, Span<float> values);

    private static readonly GgufType[] s_all =
    [
        new(0, "F32", 1, 4, ScalarType.Float32),
        new(1, "F16", 1, 2, ScalarType.Float16),
        new(30, "BF16", 1, 2, ScalarType.BFloat16),
        new(2, "Q4_0", 32, 18, ScalarType.Float32, GgufBlocks.Q4_0),
        new(3, "Q4_1", 32, 20, ScalarType.Float32, GgufBlocks.Q4_1),
        new(6, "Q5_0", 32, 22, ScalarType.Float32, GgufBlocks.Q5_0),
        new(7, "Q5_1", 32, 24, ScalarType.Float32, GgufBlocks.Q5_1),
        new(8, "Q8_0", 32, 34, ScalarType.Float32, GgufBlocks.Q8_0),
        new(12, "Q4_K", 256, 144, ScalarType.Float32, GgufSuperBlocks.Q4_K),
        new(13, "Q5_K", 256, 176, ScalarType.Float32, GgufSuperBlocks.Q5_K),
        new(14, "Q6_K", 256, 210, ScalarType.Float32, GgufSuperBlocks.Q6_K),
    ];

    /// <summary>The names, for messages.</summary>
    internal static string Known { get; } = string.Join(", ", s_all.Select(t => t.Name));

    /// <summary>Returns the type with an id; null if Koala does not read it.</summary>
    internal static GgufType? Find(uint id) => s_all.FirstOrDefault(t => t.Id == id);
}
