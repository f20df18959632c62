using Koala.Lab.Checkpoints.Gguf;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

/// <summary>
/// Every number format, compared with bytes and values worked out on paper from the description of the formats.
/// </summary>
/// <remarks>Half precision, little-endian: 1 is 00 3C, 2 is 00 40, 0.5 is 00 38, 0.25 is 00 34, 0.125 is 00 30, 3 is 00
/// 42, -1 is 00 BC.</remarks>
public sealed class GgufBlockTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    // Scales 1 2 3 63 17 32 50 63 and minima 0 1 2 63 5 20 33 63: bytes 0-3 hold the first four scales and above them
    // the upper two bits of the last four (17 = 1|0001, 32 = 2|0000, 50 = 3|0010, 63 = 3|1111), bytes 4-7 the same of
    // the minima (5 = 0|0101, 20 = 1|0100, 33 = 2|0001, 63 = 3|1111), bytes 8-11 the lower four bits of the last four:
    // minimum above, scale below.
    private static readonly byte[] s_scales = [0x41, 0x82, 0xC3, 0xFF, 0x00, 0x41, 0x82, 0xFF, 0x51, 0x40, 0x12, 0xFF];

    // 32 bytes of nibbles: numbers 0, 16, 31 are 15, 1, 14 in the low halves and 5, 7, 0 in the high ones; the others 3 and 10.
    private static readonly byte[] s_nibbles = [0x5F, .. Repeat<byte>(0xA3, 15), 0x71, .. Repeat<byte>(0xA3, 14), 0x0E];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void F32_is_itself() => AssertValues(0, [0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC1], [1, -10]);

    [Fact]
    public void F16_is_half_precision() =>
        AssertValues(1, [0x00, 0x3C, 0x00, 0xC2, 0x01, 0x00, 0xFF, 0x7B], [1, -3, 5.9604645e-8f, 65504]);

    [Fact]
    public void BF16_is_the_upper_half_of_F32() => AssertValues(30, [0x80, 0x3F, 0x20, 0xC1], [1, -10]);

    // d = 0.5; byte i is i below and 15 - i above: 0.5·(i - 8) and 0.5·(7 - i).
    [Fact]
    public void Q4_0() => AssertValues(2,
        [0x00, 0x38, 0xF0, 0xE1, 0xD2, 0xC3, 0xB4, 0xA5, 0x96, 0x87, 0x78, 0x69, 0x5A, 0x4B, 0x3C, 0x2D, 0x1E, 0x0F],
        [-4, -3.5f, -3, -2.5f, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 2.5f, 3, 3.5f,
         3.5f, 3, 2.5f, 2, 1.5f, 1, 0.5f, 0, -0.5f, -1, -1.5f, -2, -2.5f, -3, -3.5f, -4]);

    // d = 2, m = -1: 2q - 1; q = 0, 0, 1, 0, 15 and then 7 below, 0, 1, 0, 15, 0 and then 7 above.
    [Fact]
    public void Q4_1() => AssertValues(3,
        [0x00, 0x40, 0x00, 0xBC, 0x00, 0x10, 0x01, 0xF0, 0x0F, .. Repeat<byte>(0x77, 11)],
        [-1, -1, 1, -1, 29, .. Repeat(13f, 11), -1, 1, -1, 29, -1, .. Repeat(13f, 11)]);

    // d = 1, high bits of numbers 0, 8, 17, 31; nibbles 0 below and 5 above: 0 - 16, with the bit 16 - 16; 5 - 16, with
    // the bit 21 - 16.
    [Fact]
    public void Q5_0() => AssertValues(6,
        [0x00, 0x3C, 0x01, 0x01, 0x02, 0x80, .. Repeat<byte>(0x50, 16)],
        [0, .. Repeat(-16f, 7), 0, .. Repeat(-16f, 7), -11, 5, .. Repeat(-11f, 13), 5]);

    // The same numbers with d = 0.25, m = 3: 0, 16, 5 and 21 are 3, 7, 4.25 and 8.25.
    [Fact]
    public void Q5_1() => AssertValues(7,
        [0x00, 0x34, 0x00, 0x42, 0x01, 0x01, 0x02, 0x80, .. Repeat<byte>(0x50, 16)],
        [7, .. Repeat(3f, 7), 7, .. Repeat(3f, 7), 4.25f, 8.25f, .. Repeat(4.25f, 13), 8.25f]);

    // d = 0.125; 127, -128, -1, 0, then 8; 16 in the second half.
    [Fact]
    public void Q8_0() => AssertValues(8,
        [0x00, 0x30, 0x7F, 0x80, 0xFF, 0x00, .. Repeat<byte>(8, 12), .. Repeat<byte>(16, 15), 0xF8],
        [15.875f, -16, -0.125f, 0, .. Repeat(1f, 12), .. Repeat(2f, 15), -1]);

    // d = 1, dmin = 0.5: sc·q - m/2, part by part, for number 0, the others, number 16, number 31.
    [Fact]
    public void Q4_K() => AssertValues(12,
        [0x00, 0x3C, 0x00, 0x38, .. s_scales, .. s_nibbles, .. s_nibbles, .. s_nibbles, .. s_nibbles],
        [
            .. Part(15, 3, 1, 14),                      // q
            .. Part(9.5f, 19.5f, 13.5f, -0.5f),         // 2q - 0.5
            .. Part(44, 8, 2, 41),                      // 3q - 1
            .. Part(283.5f, 598.5f, 409.5f, -31.5f),    // 63q - 31.5
            .. Part(252.5f, 48.5f, 14.5f, 235.5f),      // 17q - 2.5
            .. Part(150, 310, 214, -10),                // 32q - 10
            .. Part(733.5f, 133.5f, 33.5f, 683.5f),     // 50q - 16.5
            .. Part(283.5f, 598.5f, 409.5f, -31.5f),    // 63q - 31.5
        ]);

    // The same with 16 more: number 0 in parts 0 and 7 (0x81), number 16 in parts 2 and 5 (0x24), number 31 in all.
    [Fact]
    public void Q5_K() => AssertValues(13,
        [0x00, 0x3C, 0x00, 0x38, .. s_scales, 0x81, .. new byte[15], 0x24, .. new byte[14], 0xFF, .. s_nibbles,
            .. s_nibbles, .. s_nibbles, .. s_nibbles],
        [
            .. Part(31, 3, 1, 30),
            .. Part(9.5f, 19.5f, 13.5f, 31.5f),
            .. Part(44, 8, 50, 89),
            .. Part(283.5f, 598.5f, 409.5f, 976.5f),
            .. Part(252.5f, 48.5f, 14.5f, 507.5f),
            .. Part(150, 310, 726, 502),
            .. Part(733.5f, 133.5f, 33.5f, 1483.5f),
            .. Part(1291.5f, 598.5f, 409.5f, 976.5f),
        ]);

    // d = 0.5, last. First half: low bits 1 2 (0x21) and 3 4 (0x43), high bits 0 1 2 3 (0xE4), so q of the groups 0 to
    // 3 is 1 - 32, 3 + 16 - 32, 2 + 32 - 32, 4 + 48 - 32 = -31, -13, 2, 20; number 17 has 5 6 (0x65), 3 4 and high bits
    // 3 2 1 0 (0x1B): 21, 3, -10, -28. Scales 1 -1 2 -2 3 -3 127 -128. Second half: 0 15 (0xF0) and 15 0 (0x0F), high
    // bits 3 2 1 0: 0 + 48 - 32, 15 + 32 - 32, 15 + 16 - 32, 0 - 32 = 16, 15, -1, -32. Scales 4 to 11.
    [Fact]
    public void Q6_K() => AssertValues(14,
        [
            .. Repeat<byte>(0x21, 17), 0x65, .. Repeat<byte>(0x21, 14), .. Repeat<byte>(0x43, 32),
            .. Repeat<byte>(0xF0, 32), .. Repeat<byte>(0x0F, 32),
            .. Repeat<byte>(0xE4, 17), 0x1B, .. Repeat<byte>(0xE4, 14), .. Repeat<byte>(0x1B, 32),
            1, 0xFF, 2, 0xFE, 3, 0xFD, 127, 0x80, 4, 5, 6, 7, 8, 9, 10, 11, 0x00, 0x38,
        ],
        [
            .. Repeat(-15.5f, 16), 15.5f, -10.5f, .. Repeat(15.5f, 14),
            .. Repeat(-13f, 16), 13, -3, .. Repeat(13f, 14),
            .. Repeat(3f, 16), -3, 15, .. Repeat(-3f, 14),
            .. Repeat(1270f, 16), -1280, 1792, .. Repeat(-1280f, 14),
            .. Repeat(32f, 16), .. Repeat(40f, 16),
            .. Repeat(45f, 16), .. Repeat(52.5f, 16),
            .. Repeat(-4f, 16), .. Repeat(-4.5f, 16),
            .. Repeat(-160f, 16), .. Repeat(-176f, 16),
        ]);

    // Random blocks, number by number by the formulas that the formats are described with.
    [Fact]
    public void Q2_K() => AssertRandom(10, 84, (b, values) =>
    {
        for (var i = 0; i < 256; i++)
        {
            var scale = b[i / 16];
            var q = b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
            values[i] = Half(b, 80) * (scale & 15) * q - Half(b, 82) * (scale >> 4);
        }
    }, 80, 82);

    [Fact]
    public void Q3_K() => AssertRandom(11, 110, (b, values) =>
    {
        var scales = new int[16];
        for (var i = 0; i < 4; i++)
        {
            var upper = b[104 + i];
            (scales[i], scales[4 + i]) = (b[96 + i] & 15 | (upper & 3) << 4, b[100 + i] & 15 | (upper >> 2 & 3) << 4);
            (scales[8 + i], scales[12 + i]) = (b[96 + i] >> 4 | (upper >> 4 & 3) << 4, b[100 + i] >> 4 | (upper >> 6 & 3) << 4);
        }
        for (var i = 0; i < 256; i++)
        {
            var q = (b[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) - ((b[i % 32] >> (i / 32) & 1) == 0 ? 4 : 0);
            values[i] = Half(b, 108) * (scales[i / 16] - 32) * q;
        }
    }, 108);

    private static readonly int[] s_table = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    [Fact]
    public void IQ4_NL() => AssertRandom(20, 18, (b, values) =>
    {
        for (var i = 0; i < 32; i++) values[i] = Half(b, 0) * s_table[b[2 + i % 16] >> (i / 16 * 4) & 15];
    }, 0);

    [Fact]
    public void IQ4_XS() => AssertRandom(23, 136, (b, values) =>
    {
        for (var i = 0; i < 256; i++)
        {
            var part = i / 32;
            var scale = (b[4 + part / 2] >> (4 * (part % 2)) & 15 | ((b[2] | b[3] << 8) >> (2 * part) & 3) << 4) - 32;
            values[i] = Half(b, 0) * scale * s_table[b[8 + 16 * part + i % 16] >> (i % 32 / 16 * 4) & 15];
        }
    }, 0);

    private static float Half(byte[] bytes, int at) => (float)BitConverter.ToHalf(bytes, at);

    private void AssertRandom(uint type, int length, Action<byte[], float[]> decode, params int[] halves)
    {
        var random = new Random(1);
        for (var i = 0; i < 20; i++)
        {
            var block = new byte[length];
            random.NextBytes(block);
            foreach (var at in halves) BitConverter.TryWriteBytes(block.AsSpan(at), (Half)(random.NextSingle() - 0.5f));
            var values = new float[length == 18 ? 32 : 256];
            decode(block, values);
            AssertValues(type, block, values);
        }
    }

    private static T[] Repeat<T>(T value, int count) => [.. Enumerable.Repeat(value, count)];

    private static float[] Part(float first, float others, float sixteenth, float last) =>
        [first, .. Repeat(others, 15), sixteenth, .. Repeat(others, 14), last];

    // The block is in the middle of a matrix of two rows of three blocks, so that both its position and its neighbours'
    // are checked.
    private void AssertValues(uint type, byte[] block, float[] expected)
    {
        var zero = new byte[block.Length];
        var path = _folder.At("x.gguf");
        File.WriteAllBytes(path, GgufBytes.Small()
            .Tensor("x", [3 * (ulong)expected.Length, 2], type,
                [.. zero, .. block, .. zero, .. zero, .. block, .. block])
            .Build());
        using var scope = NewDisposeScope();
        using var file = GgufFile.Open(path);
        var zeros = new float[expected.Length];
        float[] all = [.. zeros, .. expected, .. zeros, .. zeros, .. expected, .. expected];
        // A block of zero bytes is 0 even in formats whose zero point is not 0, because its scale is 0.
        Assert.Equal([2L, 3 * expected.Length], file.Tensors["x"].Shape);
        Assert.Equal(all, file.Read("x", ScalarType.Float32, CPU).data<float>().ToArray());
        var rounded = tensor(all).to(ScalarType.BFloat16);
        Assert.True(file.Read("x", ScalarType.BFloat16, CPU).view(-1).equal(rounded).all().item<bool>());
        if (file.ReadCodes("x") is not { } codes) return;
        using (codes)
        {
            for (var row = 0; row < 2; row++)
                for (var i = 0; i < codes.Columns; i++)
                    Assert.Equal(all[row * codes.Columns + i],
                        codes.CodesOf(row)[i] * codes.ScalesOf(row)[i / codes.Group] + codes.OffsetsOf(row)[i / codes.Group]);
        }
    }
}
