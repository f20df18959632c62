using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Kernels;

/// <summary>Weights as a quantized file holds them: codes of 4 to 8 bits, with a scale and an offset for groups of inputs.</summary>
/// <remarks>
/// A panel is group after group: 32 scales and offsets, then the codes of the group's inputs. A lane of 32 bits belongs to one output and
/// holds the lower four bits of eight inputs' codes; the fifth bits, or the fifth and sixth, of more inputs follow in lanes of their own.
/// Of codes of 8 bits a lane holds four. A few groups at a time are widened to fp32 in memory that stays in a core's cache, and multiplied
/// there. So the results are those of the numbers that the file stands for, and memory is read in the size of the file.
///
/// Codes count from 0: what the lowest one stands for is part of the offset. A code times its scale is exact in fp32, so one fused
/// multiply-add gives the number that a file stands for, whether that has an offset or a lowest code.
/// </remarks>
internal sealed unsafe class QuantizedPanels : PanelMatrix
{
    // The inputs that are widened at a time: a multiple of every group. Of four panels, as for one row, they are 16 KB.
    private const int WidenedInputs = 32;

    // The bytes of a lane of 32 bits for each output of a panel.
    private const int LaneBytes = PanelWidth * sizeof(uint);

    private static readonly delegate*<byte*, in Layout, float*, void> s_widen =
        Vector512.IsHardwareAccelerated ? &Widen<Vector512Unit, Vector512<float>>
        : Vector256.IsHardwareAccelerated ? &Widen<Vector256Unit, Vector256<float>> : &Widen<Vector128Unit, Vector128<float>>;

    private readonly NativeBuffer _panels;
    private readonly Layout _layout;
    private readonly Tiles _tiles = Tiles.Of(PanelType.Float32);

    private QuantizedPanels(Layout layout, int outputs, int inputs) : base(PanelType.Quantized, outputs, inputs)
    {
        _layout = layout;
        _panels = new NativeBuffer((long)Panels * PanelBytes);
    }

    public override long Bytes => _panels.Bytes;

    private long PanelBytes => (long)Inputs / _layout.Group * _layout.GroupBytes;

    /// <summary>Packs the rows of some matrices with the same number of columns, one after another.</summary>
    public static QuantizedPanels Pack(IReadOnlyList<QuantizedMatrix> parts, WorkCrew crew)
    {
        var layout = new Layout(parts.Min(part => part.Group), CommonBits(parts), parts.All(HasHalfScales));
        var matrix = new QuantizedPanels(layout, parts.Sum(part => part.Rows), parts[0].Columns);
        var starts = new int[parts.Count];
        for (var i = 1; i < parts.Count; i++) starts[i] = starts[i - 1] + parts[i - 1].Rows;
        crew.ForEach(matrix.Panels, panel =>
        {
            for (var output = panel * PanelWidth; output < Math.Min(matrix.Outputs, (panel + 1) * PanelWidth); output++)
            {
                var part = Array.FindLastIndex(starts, start => start <= output);
                matrix.PackRow(parts[part], output - starts[part], output);
            }
        });
        return matrix;
    }

    public override void Multiply(PackedRows x, float* y, long stride, int firstPanel, int endPanel)
    {
        var together = PanelsAtOnce(x.Count);
        var widened = stackalloc float[together * WidenedInputs * PanelWidth + 16];
        widened = (float*)(((nint)widened + 63) & ~63);
        for (int panel = firstPanel, count; panel < endPanel; panel += count)
        {
            count = Math.Min(together, endPanel - panel);
            for (var input = 0; input < Inputs; input += WidenedInputs)
            {
                var inputs = Math.Min(WidenedInputs, Inputs - input);
                for (var i = 0; i < count; i++)
                {
                    var groups = _panels.Address + (panel + i) * PanelBytes + (long)input / _layout.Group * _layout.GroupBytes;
                    for (var k = 0; k < inputs; k += _layout.Group, groups += _layout.GroupBytes)
                        s_widen(groups, in _layout, widened + (i * WidenedInputs + k) * PanelWidth);
                }
                MultiplyWidened(x, widened, y, stride, panel * PanelWidth, (panel + count) * PanelWidth, input, inputs);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void CopyRow(int output, float* to)
    {
        var group = _panels.Address + output / PanelWidth * PanelBytes;
        var lane = output % PanelWidth;
        for (var input = 0; input < Inputs; input += _layout.Group, group += _layout.GroupBytes)
        {
            var (scale, offset) = _layout.HasHalfScales
                ? ((float)((Half*)group)[2 * lane], (float)((Half*)group)[2 * lane + 1])
                : (((float*)group)[lane], ((float*)group)[PanelWidth + lane]);
            for (var i = 0; i < _layout.Group; i++)
                to[input + i] = MathF.FusedMultiplyAdd(_layout.Code(group + _layout.ScaleBytes, i, lane), scale, offset);
        }
    }

    public override void Dispose() => _panels.Dispose();

    private void MultiplyWidened(
        PackedRows x, float* widened, float* y, long stride, int firstOutput, int endOutput, int input, int inputs)
    {
        const long PanelBytes = WidenedInputs * PanelWidth * sizeof(float);
        for (int output = firstOutput, vectors; output < endOutput; output += vectors * VectorWidth)
        {
            vectors = VectorsAtOnce(x.Count);
            while (output + vectors * VectorWidth > endOutput) vectors /= 2;
            var at = output - firstOutput;
            var w = (byte*)widened + at / PanelWidth * PanelBytes + at % PanelWidth * sizeof(float);
            var width = vectors * VectorWidth;
            var valid = Math.Min(width, Outputs - output);
            if (valid <= 0) return;
            for (var block = 0; block < x.Blocks; block++)
            {
                var rows = x.Rows(block);
                var from = x.Address(block) + (long)input * rows;
                var to = y + x.Start(block) * stride + output;
                if (valid == width) _tiles.Run(rows, vectors, w, PanelBytes, from, inputs / 2, to, stride, input > 0);
                else MultiplyLast(rows, vectors, w, PanelBytes, from, inputs / 2, to, stride, input > 0, valid);
            }
        }
    }

    // The last panel has results that lie beyond the rows of y.
    private void MultiplyLast(
        int rows, int vectors, byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add, int valid)
    {
        var width = vectors * VectorWidth;
        var results = stackalloc float[12 * 8 * 16];
        for (var row = 0; add && row < rows; row++)
            new ReadOnlySpan<float>(y + row * stride, valid).CopyTo(new Span<float>(results + row * width, valid));
        _tiles.Run(rows, vectors, w, panelBytes, x, pairs, results, width, add);
        for (var row = 0; row < rows; row++)
            new ReadOnlySpan<float>(results + row * width, valid).CopyTo(new Span<float>(y + row * stride, valid));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PackRow(QuantizedMatrix from, int row, int output)
    {
        var group = _panels.Address + output / PanelWidth * PanelBytes;
        var lane = output % PanelWidth;
        var codes = from.CodesOf(row);
        var scales = from.ScalesOf(row);
        var offsets = from.OffsetsOf(row);
        for (var input = 0; input < Inputs; input += _layout.Group, group += _layout.GroupBytes)
        {
            var scale = scales[input / from.Group];
            var offset = offsets[input / from.Group] + from.Lowest * scale;
            if (_layout.HasHalfScales) (((Half*)group)[2 * lane], ((Half*)group)[2 * lane + 1]) = ((Half)scale, (Half)offset);
            else (((float*)group)[lane], ((float*)group)[PanelWidth + lane]) = (scale, offset);
            _layout.Pack(group + _layout.ScaleBytes, lane, codes.Slice(input, _layout.Group), from.Bits, from.Lowest);
        }
    }

    // All parts have the offsets that they need in half precision.
    private static bool HasHalfScales(QuantizedMatrix part)
    {
        if (!part.HasHalfScales) return false;
        // Scales are fp16 numbers; times the lowest code, a power of two, they are so too unless they become too large.
        for (var row = 0; part.Lowest != 0 && row < part.Rows; row++)
            foreach (var scale in part.ScalesOf(row))
                if (Half.IsInfinity((Half)(scale * part.Lowest))) return false;
        return true;
    }

    // Bytes have a sign and other codes have none, so parts with both are kept as bytes. A group of 16 has room for two more bits or none.
    private static int CommonBits(IReadOnlyList<QuantizedMatrix> parts)
    {
        var most = parts.Max(part => part.Bits);
        return most == 5 && parts.Min(part => part.Group) < 32 ? 6 : most;
    }

    // Widens a group: 32 outputs of each of its inputs.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen<TUnit, TVector>(byte* group, in Layout layout, float* to)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var (inputs, bits) = (layout.Group, layout.Bits);
        for (var lane = 0; lane < PanelWidth; lane += TUnit.Width)
        {
            var halves = group + lane * sizeof(uint);
            var scale = layout.HasHalfScales ? TUnit.LowFloat16(halves) : TUnit.Load((float*)group + lane);
            var offset = layout.HasHalfScales ? TUnit.HighFloat16(halves) : TUnit.Load((float*)group + PanelWidth + lane);
            var codes = group + layout.ScaleBytes + lane * sizeof(uint);
            var result = to + lane;
            if (bits == 4)
            {
                for (var k = 0; k < inputs; k += 8, codes += LaneBytes, result += 8 * PanelWidth)
                {
                    CacheLine.Prefetch(codes);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.Bits(codes, 0, 15), scale, offset), result);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.Bits(codes, 4, 15), scale, offset), result + PanelWidth);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.Bits(codes, 8, 15), scale, offset), result + 2 * PanelWidth);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.Bits(codes, 12, 15), scale, offset), result + 3 * PanelWidth);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.Bits(codes, 16, 15), scale, offset), result + 4 * PanelWidth);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.Bits(codes, 20, 15), scale, offset), result + 5 * PanelWidth);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.Bits(codes, 24, 15), scale, offset), result + 6 * PanelWidth);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.Bits(codes, 28, 15), scale, offset), result + 7 * PanelWidth);
                }
            }
            else if (bits == 8)
            {
                for (var k = 0; k < inputs; k += 4, codes += LaneBytes, result += 4 * PanelWidth)
                {
                    CacheLine.Prefetch(codes);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.SignedByte(codes, 0), scale, offset), result);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.SignedByte(codes, 1), scale, offset), result + PanelWidth);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.SignedByte(codes, 2), scale, offset), result + 2 * PanelWidth);
                    TUnit.Store(TUnit.MultiplyAdd(TUnit.SignedByte(codes, 3), scale, offset), result + 3 * PanelWidth);
                }
            }
            else
            {
                var upper = codes + inputs / 8 * LaneBytes;
                var (upperBits, upperMask) = (bits - 4, (1 << (bits - 4)) - 1);
                for (var k = 0; k < inputs; k++, result += PanelWidth)
                {
                    var bit = k * upperBits;
                    var code = TUnit.Bits(codes + k / 8 * LaneBytes, k % 8 * 4, 15, upper + bit / 32 * LaneBytes, bit % 32, upperMask);
                    TUnit.Store(TUnit.MultiplyAdd(code, scale, offset), result);
                }
            }
        }
    }

    // How a group is laid out: scales and offsets as pairs of fp16 numbers, or all scales and then all offsets in fp32; then the codes.
    private readonly record struct Layout(int Group, int Bits, bool HasHalfScales)
    {
        public int ScaleBytes => PanelWidth * (HasHalfScales ? 4 : 8);

        public int GroupBytes => ScaleBytes + Group * Bits / 32 * LaneBytes;

        /// <summary>The code of an input of a group.</summary>
        public int Code(byte* codes, int input, int lane)
        {
            if (Bits == 8) return (sbyte)(*Lane(codes, input / 4, lane) >> input % 4 * 8);
            var code = *Lane(codes, input / 8, lane) >> input % 8 * 4 & 15;
            if (Bits > 4) code |= (*Upper(codes, input, lane) >> input * (Bits - 4) % 32 & ((1u << (Bits - 4)) - 1)) << 4;
            return (int)code;
        }

        /// <summary>Packs the codes of an output's group into bits that are 0.</summary>
        /// <param name="to">The group's codes.</param>
        /// <param name="lane">The output's lane.</param>
        /// <param name="codes">The codes, counted from the lowest one, which is 0 or a power of two with a minus.</param>
        /// <param name="bits">The bits of these codes, which may be fewer than the panel's.</param>
        /// <param name="lowest">The lowest code.</param>
        public void Pack(byte* to, int lane, ReadOnlySpan<sbyte> codes, int bits, int lowest)
        {
            const ulong EachByte = 0x0101010101010101;
            // To take off the lowest code is to flip the sign's bit and to leave out the bits in front of it, which repeat it.
            var flip = EachByte * (byte)-lowest;
            var used = EachByte * ((1ul << bits) - 1);
            var upper = EachByte * ((1ul << Bits) - 16);
            var eights = MemoryMarshal.Cast<sbyte, ulong>(codes);
            for (var i = 0; i < eights.Length; i++)
            {
                var eight = (eights[i] ^ flip) & used;
                if (Bits == 8)
                {
                    (*Lane(to, 2 * i, lane), *Lane(to, 2 * i + 1, lane)) = ((uint)eight, (uint)(eight >> 32));
                    continue;
                }
                *Lane(to, i, lane) = (uint)Extract(eight, EachByte * 15);
                if (Bits > 4) *Upper(to, 8 * i, lane) |= (uint)Extract(eight, upper) << 8 * i * (Bits - 4) % 32;
            }
        }

        // The bits of a value where a mask has ones, side by side.
        private static ulong Extract(ulong value, ulong mask)
        {
            if (Bmi2.X64.IsSupported) return Bmi2.X64.ParallelBitExtract(value, mask);
            var (result, at) = (0ul, 0);
            for (; mask != 0; mask &= mask - 1) result |= (value >> BitOperations.TrailingZeroCount(mask) & 1) << at++;
            return result;
        }

        private uint* Upper(byte* codes, int input, int lane) => Lane(codes, Group / 8 + input * (Bits - 4) / 32, lane);

        private static uint* Lane(byte* codes, int number, int lane) => (uint*)(codes + number * LaneBytes) + lane;
    }
}
