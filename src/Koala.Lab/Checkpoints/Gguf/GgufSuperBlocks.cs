using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>The block formats of 256 numbers, whose parts have their own scales (ggml's K formats).</summary>
internal static class GgufSuperBlocks
{
    private const int Elements = 256;

    /// <summary>
    /// A block has 16 bytes, each a scale below and a minimum above for 16 numbers, 64 bytes of pairs of bits, d and dmin. A number is
    /// d·sc·q - dmin·m.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q2_K<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[84..], at += Elements)
        {
            var (d, least) = (GgufBlocks.Half(blocks[80..]), GgufBlocks.Half(blocks[82..]));
            for (var part = 0; part < 16; part++)
            {
                var q = TwoBits(blocks[16..], part);
                sink.Take(at + 16 * part, q.AsSByte(), d * (blocks[part] & 15), -(least * (blocks[part] >> 4)));
            }
        }
    }

    /// <summary>
    /// A block has 32 bytes of high bits, 64 bytes of pairs of bits, 12 bytes of 16 scales of 6 bits, and d. A number is
    /// d·(sc - 32)·(q - 4); bit p of byte l of the high bits belongs to number l of the p-th 32 numbers.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q3_K<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[110..], at += Elements)
        {
            var d = GgufBlocks.Half(blocks[108..]);
            var s = blocks[96..108];
            for (var part = 0; part < 16; part++)
            {
                var high = (Vector128.Create(blocks[(16 * (part % 2))..]) >> (part / 2)) & Vector128.Create((byte)1);
                var q = TwoBits(blocks[32..], part) | high << 2;
                var low = part < 8 ? s[part] & 15 : s[part - 8] >> 4;
                var scale = (low | (s[8 + part % 4] >> (part / 4 * 2) & 3) << 4) - 32;
                sink.Take(at + 16 * part, q.AsSByte() - Vector128.Create((sbyte)4), d * scale, 0);
            }
        }
    }

    /// <summary>
    /// A block has d, the high pairs of bits of 8 scales of 6 bits in two bytes, their low nibbles in four, and 128 bytes of nibbles, which
    /// are numbers of a table. A number is d·(sc - 32)·t.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void IQ4_XS<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[136..], at += Elements)
            for (var part = 0; part < 8; part++)
            {
                var low = blocks[4 + part / 2] >> (part % 2 * 4) & 15;
                var high = blocks[2 + part / 4] >> (part % 4 * 2) & 3;
                var scale = GgufBlocks.Half(blocks) * ((low | high << 4) - 32);
                var (first, last) = GgufBlocks.Nibbles(blocks[(8 + 16 * part)..]);
                sink.Take(at + 32 * part, GgufBlocks.FourBits(first), scale, 0);
                sink.Take(at + 32 * part + 16, GgufBlocks.FourBits(last), scale, 0);
            }
    }

    /// <summary>
    /// A block has d, dmin, 12 bytes of scales and 128 bytes of nibbles. It has 8 parts of 32 numbers, in low halves and high halves
    /// alternately. A number is d·sc·q - dmin·m.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q4_K<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[144..], at += Elements)
            for (var part = 0; part < 8; part += 2)
                for (var half = 0; half < 32; half += 16)
                {
                    var (low, high) = GgufBlocks.Nibbles(blocks[(16 + 16 * part + half)..]);
                    Take(sink, at + 32 * part + half, blocks, part, low);
                    Take(sink, at + 32 * part + 32 + half, blocks, part + 1, high);
                }
    }

    /// <summary>
    /// The format is Q4_K with 32 bytes of high bits before the nibbles: bit j of byte l belongs to number l of part j.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q5_K<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[176..], at += Elements)
            for (var part = 0; part < 8; part += 2)
                for (var half = 0; half < 32; half += 16)
                {
                    var bits = Vector128.Create(blocks[(16 + half)..]) >> part;
                    var (low, high) = GgufBlocks.Nibbles(blocks[(48 + 16 * part + half)..]);
                    Take(sink, at + 32 * part + half, blocks, part, low | (bits & Vector128.Create((byte)1)) << 4);
                    Take(sink, at + 32 * part + 32 + half, blocks, part + 1, high | (bits & Vector128.Create((byte)2)) << 3);
                }
    }

    /// <summary>
    /// A block has 128 bytes of low nibbles, 64 bytes of high pairs of bits, 16 signed scales for parts of 16 numbers, and d. A number
    /// is d·sc·(q - 32).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Q6_K<TSink>(ReadOnlySpan<byte> blocks, TSink sink) where TSink : IBlockSink, allows ref struct
    {
        for (var at = 0; !blocks.IsEmpty; blocks = blocks[210..], at += Elements)
        {
            var d = GgufBlocks.Half(blocks[208..]);
            // Each half has 128 numbers, in four groups of 32 that share their bytes of high bits.
            for (var half = 0; half < 2; half++)
                for (var start = 0; start < 32; start += 16)
                {
                    var (first, third) = GgufBlocks.Nibbles(blocks[(64 * half + start)..]);
                    var (second, fourth) = GgufBlocks.Nibbles(blocks[(64 * half + 32 + start)..]);
                    var bits = Vector128.Create(blocks[(128 + 32 * half + start)..]);
                    ReadOnlySpan<Vector128<byte>> groups = [first, second, third, fourth];
                    for (var group = 0; group < 4; group++)
                    {
                        var q = groups[group] | ((bits >> (2 * group)) & Vector128.Create((byte)3)) << 4;
                        var scale = (sbyte)blocks[192 + 8 * half + 2 * group + start / 16];
                        sink.Take(at + 128 * half + 32 * group + start, q.AsSByte() - Vector128.Create((sbyte)32), d * scale, 0);
                    }
                }
        }
    }

    // The pairs of bits of 16 numbers. Four times 32 numbers share 32 bytes.
    private static Vector128<byte> TwoBits(ReadOnlySpan<byte> bytes, int part) =>
        (Vector128.Create(bytes[(part / 8 * 32 + part % 2 * 16)..]) >> (part / 2 % 4 * 2)) & Vector128.Create((byte)3);

    private static void Take<TSink>(TSink sink, int at, ReadOnlySpan<byte> block, int part, Vector128<byte> q)
        where TSink : IBlockSink, allows ref struct
    {
        var (scale, minimum) = Scales(block[4..16], part);
        var offset = -(GgufBlocks.Half(block[2..]) * minimum);
        sink.Take(at, q.AsSByte(), GgufBlocks.Half(block) * scale, offset);
    }

    // The 12 bytes contain eight scales and eight minima of 6 bits. The last four of each are split into four bits and two bits.
    private static (int Scale, int Minimum) Scales(ReadOnlySpan<byte> s, int part) => part < 4
        ? (s[part] & 63, s[part + 4] & 63)
        : ((s[part + 4] & 15) | s[part - 4] >> 6 << 4, s[part + 4] >> 4 | s[part] >> 6 << 4);
}
