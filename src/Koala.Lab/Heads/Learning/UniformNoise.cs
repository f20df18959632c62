using static TorchSharp.torch;

namespace Koala.Lab.Heads.Learning;

/// <summary>Uniform random numbers that follow from a seed alone and are the same on every device.</summary>
/// <remarks>
/// The numbers are SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) of the seed and each number's index. TorchSharp has
/// generators on the CPU only. There, the noise for a batch of features of a larger target would take longer than the
/// rest of a step on a GPU.
/// </remarks>
internal static class UniformNoise
{
    /// <summary>Draws uniform numbers.</summary>
    /// <param name="shape">The shape of the tensor.</param>
    /// <param name="seed">The seed, any number.</param>
    /// <param name="device">The device of the tensor.</param>
    /// <returns>Numbers from -1 up to but not including 1, fp32.</returns>
    public static Tensor Sample(long[] shape, long seed, Device device)
    {
        using var scope = NewDisposeScope();
        var count = shape.Aggregate(1L, (a, b) => a * b);
        unchecked
        {
            // Two consecutive seeds must not give the same stream, shifted by one number.
            var z = arange(count, ScalarType.Int64, device) * (long)0x9e37_79b9_7f4a_7c15UL + seed * (long)0xd129_0d3b_42ba_67c5UL;
            z = Xor(z, 30) * (long)0xbf58_476d_1ce4_e5b9UL;
            z = Xor(z, 27) * (long)0x94d0_49bb_1331_11ebUL;
            // A float holds this many bits.
            var bits = Shifted(Xor(z, 31), 40);
            return (bits.to(ScalarType.Float32) / (1 << 23) - 1).view(shape).MoveToOuterDisposeScope();
        }
    }

    private static Tensor Xor(Tensor z, int shift) => z.bitwise_xor(Shifted(z, shift));

    // Clears the bits into which a right shift copies the sign.
    private static Tensor Shifted(Tensor z, int shift) =>
        z.bitwise_right_shift(tensor((long)shift, device: z.device)).bitwise_and(tensor((1L << (64 - shift)) - 1, device: z.device));
}
