using System.Runtime.CompilerServices;

namespace Koala.Lab.Kernels;

/// <summary>Weights in fp32, bf16 or fp16. In the last two a lane of 32 bits holds the weights of two inputs.</summary>
/// <remarks>Whoever makes one fills its panels: see <see cref="PanelPacking"/>.</remarks>
internal sealed unsafe class FloatPanels : PanelMatrix
{
    private readonly NativeBuffer _panels;
    private readonly long _panelBytes;
    private readonly Tiles _tiles;

    public FloatPanels(PanelType type, int outputs, int inputs) : base(type, outputs, inputs)
    {
        _tiles = Tiles.Of(type);
        _panelBytes = (long)(inputs + 1) / 2 * _tiles.PairBytes;
        _panels = NativeBuffer.ToFill(Panels * _panelBytes);
    }

    /// <summary>The bytes of a panel, for the pairs of all its inputs.</summary>
    public long PanelBytes => _panelBytes;

    /// <summary>The memory of a panel, which its maker fills.</summary>
    public byte* Panel(int panel) => _panels.Address + panel * _panelBytes;

    public override long Bytes => _panels.Bytes;

    public override void Multiply(PackedRows x, float* y, long stride, int firstPanel, int endPanel)
    {
        var most = VectorsAtOnce(x.Count);
        var end = endPanel * PanelWidth;
        for (int output = firstPanel * PanelWidth, vectors; output < end; output += vectors * VectorWidth)
        {
            vectors = most;
            while (output + vectors * VectorWidth > end) vectors /= 2;
            var w = _panels.Address + output / PanelWidth * _panelBytes + output % PanelWidth * sizeof(float);
            var beyond = output + vectors * VectorWidth - Outputs;
            for (var block = 0; block < x.Blocks; block++)
            {
                var to = y + x.Start(block) * stride + output;
                if (beyond <= 0) _tiles.Run(x.Rows(block), vectors, w, _panelBytes, x.Address(block), x.Inputs / 2, to, stride, add: false);
                else MultiplyLast(x, block, vectors, w, to, stride, vectors * VectorWidth - beyond);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void CopyRow(int output, float* to)
    {
        var panel = Panel(output / PanelWidth);
        var lane = output % PanelWidth;
        switch (Type)
        {
            case PanelType.Float32:
                for (var k = 0; k < Inputs; k++) to[k] = ((float*)panel)[k * PanelWidth + lane];
                break;
            case PanelType.BFloat16:
                for (var k = 0; k < Inputs; k++)
                    to[k] = BitConverter.Int32BitsToSingle(((ushort*)panel)[(k / 2 * PanelWidth + lane) * 2 + k % 2] << 16);
                break;
            default:
                for (var k = 0; k < Inputs; k++) to[k] = (float)((Half*)panel)[(k / 2 * PanelWidth + lane) * 2 + k % 2];
                break;
        }
    }

    public override void Dispose() => _panels.Dispose();

    // The last panel has results that lie beyond the rows of y.
    private void MultiplyLast(PackedRows x, int block, int vectors, byte* w, float* y, long stride, int outputs)
    {
        if (outputs <= 0) return;
        var width = vectors * VectorWidth;
        var results = stackalloc float[x.Rows(block) * width];
        _tiles.Run(x.Rows(block), vectors, w, _panelBytes, x.Address(block), x.Inputs / 2, results, width, add: false);
        for (var row = 0; row < x.Rows(block); row++)
            new ReadOnlySpan<float>(results + row * width, outputs).CopyTo(new Span<float>(y + row * stride, outputs));
    }
}
