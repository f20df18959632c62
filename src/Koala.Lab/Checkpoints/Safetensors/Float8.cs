using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Safetensors;

/// <summary>Numbers of 8 bits: a sign, 4 bits of exponent and 3 of mantissa (e4m3, the variant without infinities).</summary>
internal static class Float8
{
    /// <summary>The name of the type in headers.</summary>
    public const string Name = "F8_E4M3";

    private const int Bias = 7, MantissaBits = 3;

    // The index of each number needs eight bytes while it is looked up.
    private const long Chunk = 1 << 20;

    private static readonly float[] s_numbers = [.. Enumerable.Range(0, 256).Select(bits => Number((byte)bits))];

    /// <summary>The numbers of bytes, in bf16, which holds each of them as it is.</summary>
    /// <param name="bytes">The bytes, of any shape.</param>
    public static Tensor Decode(Tensor bytes)
    {
        using var scope = NewDisposeScope();
        var numbers = tensor(s_numbers).to(ScalarType.BFloat16);
        var result = empty(bytes.shape, ScalarType.BFloat16);
        var (from, to) = (bytes.view(-1), result.view(-1));
        for (var start = 0L; start < from.numel(); start += Chunk)
        {
            using var part = NewDisposeScope();
            var length = Math.Min(Chunk, from.numel() - start);
            to.narrow(0, start, length).copy_(numbers.index_select(0, from.narrow(0, start, length).to(ScalarType.Int64)));
        }
        return result.MoveToOuterDisposeScope();
    }

    private static float Number(byte bits)
    {
        var (exponent, mantissa) = (bits >> MantissaBits & 15, bits & 7);
        if ((bits & 0x7f) == 0x7f) return float.NaN;
        var size = exponent == 0
            ? mantissa * MathF.ScaleB(1, 1 - Bias - MantissaBits)
            : (8 + mantissa) * MathF.ScaleB(1, exponent - Bias - MantissaBits);
        return bits >> 7 == 0 ? size : -size;
    }
}
