using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>
/// The block formats of 32 numbers. Scales and minima have half precision.
/// </summary>
/// <remarks>
/// The formats are those of ggml: the low halves of the 16 bytes are the first 16 numbers, and the high halves are the last 16.
/// </remarks>
internal static class GgufBlocks
{
    private const int Elements = 32;

    // For each number, the byte of the 32 high bits that contains its bit, and the bit in that byte.
    private static readonly Vector128<byte> s_bytes = Vector128.Create((byte)0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    private static readonly Vector128<byte> s_bits = Vector128.Create(0x8040201008040201UL, 0x8040201008040201UL).AsByte();

    private static readonly Vector128<sbyte> s_fourBits =
        Vector128.Create((sbyte)-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

    /// <summary>A block has d and 16 bytes of nibbles. A number is d·(q - 8).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q4_0<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[18..], at += Elements)
        {
            var (low, high) = Nibbles(blocks[2..]);
            sink.Take(at, low.AsSByte() - Vector128.Create((sbyte)8), Half(blocks), 0);
            sink.Take(at + 16, high.AsSByte() - Vector128.Create((sbyte)8), Half(blocks), 0);
        }
    }

    /// <summary>A block has d, m and 16 bytes of nibbles. A number is d·q + m.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q4_1<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[20..], at += Elements)
        {
            var (low, high) = Nibbles(blocks[4..]);
            var (scale, offset) = (Half(blocks), Half(blocks[2..]));
            sink.Take(at, low.AsSByte(), scale, offset);
            sink.Take(at + 16, high.AsSByte(), scale, offset);
        }
    }

    /// <summary>A block has d, 32 high bits and 16 bytes of nibbles. A number is d·(q - 16).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q5_0<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[22..], at += Elements)
        {
            var (low, high) = Nibbles(blocks[6..]);
            sink.Take(at, (low | Fifth(blocks[2..])).AsSByte() - Vector128.Create((sbyte)16), Half(blocks), 0);
            sink.Take(at + 16, (high | Fifth(blocks[4..])).AsSByte() - Vector128.Create((sbyte)16), Half(blocks), 0);
        }
    }

    /// <summary>A block has d, m, 32 high bits and 16 bytes of nibbles. A number is d·q + m.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q5_1<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[24..], at += Elements)
        {
            var (low, high) = Nibbles(blocks[8..]);
            var (scale, offset) = (Half(blocks), Half(blocks[2..]));
            sink.Take(at, (low | Fifth(blocks[4..])).AsSByte(), scale, offset);
            sink.Take(at + 16, (high | Fifth(blocks[6..])).AsSByte(), scale, offset);
        }
    }

    /// <summary>A block has d and 32 signed bytes. A number is d·q.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q8_0<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[34..], at += Elements)
        {
            var scale = Half(blocks);
            sink.Take(at, Vector128.Create(blocks[2..]).AsSByte(), scale, 0);
            sink.Take(at + 16, Vector128.Create(blocks[18..]).AsSByte(), scale, 0);
        }
    }

    /// <summary>A block has d and 16 bytes of nibbles, which are numbers of a table (<see cref="FourBits"/>). A number is d·t.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void IQ4_NL<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[18..], at += Elements)
        {
            var (low, high) = Nibbles(blocks[2..]);
            sink.Take(at, FourBits(low), Half(blocks), 0);
            sink.Take(at + 16, FourBits(high), Half(blocks), 0);
        }
    }

    /// <summary>The numbers that the codes of the IQ4 formats stand for: closer to each other around zero.</summary>
    internal static Vector128<sbyte> FourBits(Vector128<byte> codes) => Vector128.Shuffle(s_fourBits, codes.AsSByte());

    /// <summary>Reads the half-precision number at the beginning of the bytes.</summary>
    internal static float Half(ReadOnlySpan<byte> bytes) => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes);

    /// <summary>Returns the low and the high halves of 16 bytes.</summary>
    internal static (Vector128<byte> Low, Vector128<byte> High) Nibbles(ReadOnlySpan<byte> bytes)
    {
        var packed = Vector128.Create(bytes);
        return (packed & Vector128.Create((byte)15), packed >> 4);
    }

    // Returns 16 for each number whose bit is set, otherwise 0.
    private static Vector128<byte> Fifth(ReadOnlySpan<byte> bits)
    {
        var spread = Vector128.Shuffle(Vector128.Create(BinaryPrimitives.ReadUInt16LittleEndian(bits)).AsByte(), s_bytes);
        return Vector128.Equals(spread & s_bits, s_bits) & Vector128.Create((byte)16);
    }
}
