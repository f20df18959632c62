using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>What takes the numbers of decoded blocks, sixteen at a time: number i is code i · scale + offset.</summary>
internal interface IBlockSink
{
    /// <param name="at">The index of the first of the sixteen numbers, over all blocks.</param>
    /// <param name="codes">The codes.</param>
    /// <param name="scale">The scale of the codes.</param>
    /// <param name="offset">What is added to their products with the scale.</param>
    void Take(int at, Vector128<sbyte> codes, float scale, float offset);
}

/// <summary>Computes the numbers. Products and sums are rounded separately, in fp32.</summary>
internal readonly ref struct NumberSink(Span<float> numbers) : IBlockSink
{
    private readonly Span<float> _numbers = numbers;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Take(int at, Vector128<sbyte> codes, float scale, float offset)
    {
        var (low, high) = Vector256.Widen(Vector256.WidenLower(codes.ToVector256Unsafe()));
        (Vector256.ConvertToSingle(low) * scale + Vector256.Create(offset)).CopyTo(_numbers[at..]);
        (Vector256.ConvertToSingle(high) * scale + Vector256.Create(offset)).CopyTo(_numbers[(at + 8)..]);
    }
}

/// <summary>Keeps codes, scales and offsets apart, for kernels that compute with them.</summary>
internal readonly ref struct CodeSink(Span<sbyte> codes, Span<float> scales, Span<float> offsets, int group) : IBlockSink
{
    private readonly Span<sbyte> _codes = codes;
    private readonly Span<float> _scales = scales;
    private readonly Span<float> _offsets = offsets;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Take(int at, Vector128<sbyte> codes, float scale, float offset)
    {
        codes.CopyTo(_codes[at..]);
        (_scales[at / group], _offsets[at / group]) = (scale, offset);
    }
}
