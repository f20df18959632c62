using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Kernels;

/// <summary>Weights as a quantized file holds them: codes of 4 or 8 bits, with a scale and an offset for groups of inputs.</summary>
/// <remarks>
/// A panel is group after group: 32 scales and offsets, then the codes of the group's inputs for 32 outputs. With 4 bits a byte holds the
/// codes of two inputs. A few groups at a time are widened to fp32 in memory that stays in a core's cache, and multiplied there. So the
/// results are those of the numbers that the file stands for, and memory is read in the size of the file.
/// </remarks>
internal sealed unsafe class QuantizedPanels : PanelMatrix
{
    // The inputs that are widened at a time: a multiple of every group.
    private const int WidenedInputs = 64;

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
        var layout = new Layout(
            parts.Min(part => part.Group),
            parts.All(part => part.Bits == 4 && part.Lowest == parts[0].Lowest) ? 4 : 8,
            parts[0].Lowest,
            parts.All(part => part.HasHalfScales));
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

    public override void CopyRow(int output, float* to)
    {
        var panel = _panels.Address + output / PanelWidth * PanelBytes;
        var lane = output % PanelWidth;
        for (var input = 0; input < Inputs; input++)
        {
            var group = panel + (long)input / _layout.Group * _layout.GroupBytes;
            var codes = group + _layout.ScaleBytes;
            var k = input % _layout.Group;
            var code = _layout.Bits == 8
                ? ((sbyte*)codes)[k * PanelWidth + lane]
                : (codes[k / 2 * PanelWidth + lane] >> (4 * (k % 2)) & 15) + _layout.Lowest;
            var (scale, offset) = _layout.HasHalfScales
                ? ((float)((Half*)group)[2 * lane], (float)((Half*)group)[2 * lane + 1])
                : (((float*)group)[lane], ((float*)group)[PanelWidth + lane]);
            to[input] = code * scale + offset;
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

    private void PackRow(QuantizedMatrix from, int row, int output)
    {
        var panel = _panels.Address + output / PanelWidth * PanelBytes;
        var lane = output % PanelWidth;
        var codes = from.CodesOf(row);
        for (var input = 0; input < Inputs; input++)
        {
            var group = panel + (long)input / _layout.Group * _layout.GroupBytes;
            var k = input % _layout.Group;
            if (k == 0)
            {
                var (scale, offset) = (from.ScalesOf(row)[input / from.Group], from.OffsetsOf(row)[input / from.Group]);
                if (_layout.HasHalfScales) (((Half*)group)[2 * lane], ((Half*)group)[2 * lane + 1]) = ((Half)scale, (Half)offset);
                else (((float*)group)[lane], ((float*)group)[PanelWidth + lane]) = (scale, offset);
            }
            var to = group + _layout.ScaleBytes;
            if (_layout.Bits == 8) ((sbyte*)to)[k * PanelWidth + lane] = codes[input];
            else to[k / 2 * PanelWidth + lane] |= (byte)(codes[input] - _layout.Lowest << (4 * (k % 2)));
        }
    }

    // Widens a group: 32 outputs of each of its inputs.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen<TUnit, TVector>(byte* group, in Layout layout, float* to)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var lowest = TUnit.Broadcast(layout.Lowest);
        for (var lane = 0; lane < PanelWidth; lane += TUnit.Width)
        {
            var halves = group + lane * sizeof(uint);
            var scale = layout.HasHalfScales ? TUnit.LowFloat16(halves) : TUnit.Load((float*)group + lane);
            var offset = layout.HasHalfScales ? TUnit.HighFloat16(halves) : TUnit.Load((float*)group + PanelWidth + lane);
            var codes = group + layout.ScaleBytes + lane;
            if (layout.Bits == 8)
            {
                for (var k = 0; k < layout.Group; k++, codes += PanelWidth)
                    TUnit.Store(TUnit.Add(TUnit.Multiply(TUnit.SignedBytes(codes), scale), offset), to + k * PanelWidth + lane);
                continue;
            }
            for (var k = 0; k < layout.Group; k += 2, codes += PanelWidth)
            {
                var (low, high) = (TUnit.Add(TUnit.LowNibbles(codes), lowest), TUnit.Add(TUnit.HighNibbles(codes), lowest));
                TUnit.Store(TUnit.Add(TUnit.Multiply(low, scale), offset), to + k * PanelWidth + lane);
                TUnit.Store(TUnit.Add(TUnit.Multiply(high, scale), offset), to + (k + 1) * PanelWidth + lane);
            }
        }
    }

    // How a group is laid out: scales and offsets as pairs of fp16 numbers, or all scales and then all offsets in fp32; then the codes.
    private readonly record struct Layout(int Group, int Bits, int Lowest, bool HasHalfScales)
    {
        public int ScaleBytes => PanelWidth * (HasHalfScales ? 4 : 8);

        public int GroupBytes => ScaleBytes + Group * PanelWidth * Bits / 8;
    }
}
