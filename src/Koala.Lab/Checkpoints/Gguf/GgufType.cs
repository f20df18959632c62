using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>A number type of GGUF files: plain numbers, or blocks of quantized numbers that share their scales.</summary>
/// <param name="Id">The number that stands for it in files.</param>
/// <param name="Name">Its name in the GGUF format.</param>
/// <param name="Elements">The number of elements per block; 1 for plain types.</param>
/// <param name="Bytes">The number of bytes per block.</param>
/// <param name="Dtype">The dtype of the numbers that are read: the plain type itself, or fp32 for blocks.</param>
/// <param name="Decode">Decodes whole blocks; null for plain types.</param>
/// <param name="Codes">How whole blocks are decoded to codes and scales; null for plain types.</param>
internal sealed record GgufType(
    uint Id, string Name, int Elements, int Bytes, ScalarType Dtype, GgufType.Decoder? Decode = null, GgufCodes? Codes = null)
{
    /// <summary>Decodes whole blocks to all their numbers.</summary>
    internal delegate void Decoder(ReadOnlySpan<byte> blocks, Span<float> values);

    /// <summary>Decodes whole blocks to codes, and the scales and offsets of their groups.</summary>
    internal delegate void Splitter(ReadOnlySpan<byte> blocks, Span<sbyte> codes, Span<float> scales, Span<float> offsets);

    private static readonly GgufType[] s_all =
    [
        new(0, "F32", 1, 4, ScalarType.Float32),
        new(1, "F16", 1, 2, ScalarType.Float16),
        new(30, "BF16", 1, 2, ScalarType.BFloat16),
        new(2, "Q4_0", 32, 18, ScalarType.Float32, (b, v) => GgufBlocks.Q4_0(b, new NumberSink(v)),
            new(32, 4, -8, true, (b, c, s, o) => GgufBlocks.Q4_0(b, new CodeSink(c, s, o, 32)))),
        new(3, "Q4_1", 32, 20, ScalarType.Float32, (b, v) => GgufBlocks.Q4_1(b, new NumberSink(v)),
            new(32, 4, 0, true, (b, c, s, o) => GgufBlocks.Q4_1(b, new CodeSink(c, s, o, 32)))),
        new(6, "Q5_0", 32, 22, ScalarType.Float32, (b, v) => GgufBlocks.Q5_0(b, new NumberSink(v)),
            new(32, 5, -16, true, (b, c, s, o) => GgufBlocks.Q5_0(b, new CodeSink(c, s, o, 32)))),
        new(7, "Q5_1", 32, 24, ScalarType.Float32, (b, v) => GgufBlocks.Q5_1(b, new NumberSink(v)),
            new(32, 5, 0, true, (b, c, s, o) => GgufBlocks.Q5_1(b, new CodeSink(c, s, o, 32)))),
        new(8, "Q8_0", 32, 34, ScalarType.Float32, (b, v) => GgufBlocks.Q8_0(b, new NumberSink(v)),
            new(32, 8, 0, true, (b, c, s, o) => GgufBlocks.Q8_0(b, new CodeSink(c, s, o, 32)))),
        new(20, "IQ4_NL", 32, 18, ScalarType.Float32, (b, v) => GgufBlocks.IQ4_NL(b, new NumberSink(v)),
            new(32, 8, 0, true, (b, c, s, o) => GgufBlocks.IQ4_NL(b, new CodeSink(c, s, o, 32)))),
        new(23, "IQ4_XS", 256, 136, ScalarType.Float32, (b, v) => GgufSuperBlocks.IQ4_XS(b, new NumberSink(v)),
            new(32, 8, 0, false, (b, c, s, o) => GgufSuperBlocks.IQ4_XS(b, new CodeSink(c, s, o, 32)))),
        new(10, "Q2_K", 256, 84, ScalarType.Float32, (b, v) => GgufSuperBlocks.Q2_K(b, new NumberSink(v)),
            new(16, 4, 0, false, (b, c, s, o) => GgufSuperBlocks.Q2_K(b, new CodeSink(c, s, o, 16)))),
        new(11, "Q3_K", 256, 110, ScalarType.Float32, (b, v) => GgufSuperBlocks.Q3_K(b, new NumberSink(v)),
            new(16, 4, -4, false, (b, c, s, o) => GgufSuperBlocks.Q3_K(b, new CodeSink(c, s, o, 16)))),
        new(12, "Q4_K", 256, 144, ScalarType.Float32, (b, v) => GgufSuperBlocks.Q4_K(b, new NumberSink(v)),
            new(32, 4, 0, false, (b, c, s, o) => GgufSuperBlocks.Q4_K(b, new CodeSink(c, s, o, 32)))),
        new(13, "Q5_K", 256, 176, ScalarType.Float32, (b, v) => GgufSuperBlocks.Q5_K(b, new NumberSink(v)),
            new(32, 5, 0, false, (b, c, s, o) => GgufSuperBlocks.Q5_K(b, new CodeSink(c, s, o, 32)))),
        new(14, "Q6_K", 256, 210, ScalarType.Float32, (b, v) => GgufSuperBlocks.Q6_K(b, new NumberSink(v)),
            new(16, 6, -32, false, (b, c, s, o) => GgufSuperBlocks.Q6_K(b, new CodeSink(c, s, o, 16)))),
    ];

    /// <summary>The names, for messages.</summary>
    internal static string Known { get; } = string.Join(", ", s_all.Select(t => t.Name));

    /// <summary>Returns the type with an id; null if Koala does not read it.</summary>
    internal static GgufType? Find(uint id) => s_all.FirstOrDefault(t => t.Id == id);
}

/// <summary>The codes of a block type.</summary>
/// <param name="Group">The number of codes that share a scale and an offset.</param>
/// <param name="Bits">The bits of a code: 4, 5, 6 or 8.</param>
/// <param name="Lowest">The lowest code; 0 for codes of 8 bits, which have a sign.</param>
/// <param name="HasHalfScales">Whether scales and offsets are fp16 numbers.</param>
/// <param name="Split">Decodes whole blocks.</param>
internal sealed record GgufCodes(int Group, int Bits, int Lowest, bool HasHalfScales, GgufType.Splitter Split);
