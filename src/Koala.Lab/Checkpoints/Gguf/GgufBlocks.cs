using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>The block formats of 32 numbers. Scales and minima are half precision; products and sums are rounded apart, in fp32.</summary>
/// <remarks>The formats are those of ggml: a nibble's low half is the first 16 numbers, its high half the last 16.</remarks>
internal static class GgufBlocks
{
    private const int Elements = 32;

    // Which byte of the 32 high bits a number's bit is in, and which bit of it.
    private static readonly Vector128<byte> s_bytes = Vector128.Create((byte)0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    private static readonly Vector128<byte> s_bits = Vector128.Create(0x8040201008040201UL, 0x8040201008040201UL).AsByte();

    /// <summary>d, 16 bytes of nibbles: d·(q - 8).</summary>
    internal static void Q4_0(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !blocks.IsEmpty; blocks = blocks[18..], values = values[Elements..])
        {
            var (low, high) = Nibbles(blocks[2..]);
            Store(low.AsSByte() - Vector128.Create((sbyte)8), Half(blocks), 0, values);
            Store(high.AsSByte() - Vector128.Create((sbyte)8), Half(blocks), 0, values[16..]);
        }
    }

    /// <summary>d, m, 16 bytes of nibbles: d·q + m.</summary>
    internal static void Q4_1(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !blocks.IsEmpty; blocks = blocks[20..], values = values[Elements..])
        {
            var (low, high) = Nibbles(blocks[4..]);
            var (scale, offset) = (Half(blocks), Half(blocks[2..]));
            Store(low.AsSByte(), scale, offset, values);
            Store(high.AsSByte(), scale, offset, values[16..]);
        }
    }

    /// <summary>d, 32 high bits, 16 bytes of nibbles: d·(q - 16).</summary>
    internal static void Q5_0(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !blocks.IsEmpty; blocks = blocks[22..], values = values[Elements..])
        {
            var (low, high) = Nibbles(blocks[6..]);
            Store((low | Fifth(blocks[2..])).AsSByte() - Vector128.Create((sbyte)16), Half(blocks), 0, values);
            Store((high | Fifth(blocks[4..])).AsSByte() - Vector128.Create((sbyte)16), Half(blocks), 0, values[16..]);
        }
    }

    /// <summary>d, m, 32 high bits, 16 bytes of nibbles: d·q + m.</summary>
    internal static void Q5_1(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !blocks.IsEmpty; blocks = blocks[24..], values = values[Elements..])
        {
            var (low, high) = Nibbles(blocks[8..]);
            var (scale, offset) = (Half(blocks), Half(blocks[2..]));
            Store((low | Fifth(blocks[4..])).AsSByte(), scale, offset, values);
            Store((high | Fifth(blocks[6..])).AsSByte(), scale, offset, values[16..]);
        }
    }

    /// <summary>d, 32 signed bytes: d·q.</summary>
    internal static void Q8_0(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !blocks.IsEmpty; blocks = blocks[34..], values = values[Elements..])
        {
            var scale = Half(blocks);
            Store(Vector128.Create(blocks[2..]).AsSByte(), scale, 0, values);
            Store(Vector128.Create(blocks[18..]).AsSByte(), scale, 0, values[16..]);
        }
    }

    /// <summary>The half-precision number that begins here.</summary>
    internal static float Half(ReadOnlySpan<byte> bytes) => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes);

    /// <summary>The low and the high halves of 16 bytes.</summary>
    internal static (Vector128<byte> Low, Vector128<byte> High) Nibbles(ReadOnlySpan<byte> bytes)
    {
        var packed = Vector128.Create(bytes);
        return (packed & Vector128.Create((byte)15), packed >> 4);
    }

    /// <summary>Writes scale·q + offset for 16 numbers.</summary>
    internal static void Store(Vector128<sbyte> q, float scale, float offset, Span<float> values)
    {
        var (low, high) = Vector256.Widen(Vector256.WidenLower(q.ToVector256Unsafe()));
        (Vector256.ConvertToSingle(low) * scale + Vector256.Create(offset)).CopyTo(values);
        (Vector256.ConvertToSingle(high) * scale + Vector256.Create(offset)).CopyTo(values[8..]);
    }

    // 16 where the number's bit is set.
    private static Vector128<byte> Fifth(ReadOnlySpan<byte> bits)
    {
        var spread = Vector128.Shuffle(Vector128.Create(BinaryPrimitives.ReadUInt16LittleEndian(bits)).AsByte(), s_bytes);
        return Vector128.Equals(spread & s_bits, s_bits) & Vector128.Create((byte)16);
    }
}
