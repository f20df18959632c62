using System.Runtime.Intrinsics;

namespace Koala.Lab.Kernels;

/// <summary>The type in which a <see cref="PanelMatrix"/> keeps its weights. Arithmetic is fp32 with each of them.</summary>
internal enum PanelType
{
    /// <summary>32 bits.</summary>
    Float32,

    /// <summary>The upper 16 bits of fp32.</summary>
    BFloat16,

    /// <summary>IEEE's 16 bits.</summary>
    Float16,
}

/// <summary>The weights of a linear layer, [outputs, inputs], laid out so that a step reads each of them once, in order.</summary>
/// <remarks>
/// A panel is 32 outputs with all of their inputs, input by input. A step multiplies it by up to twelve rows of activations before it goes
/// on, so reading the weights costs the same for one row and for twelve.
/// </remarks>
internal sealed unsafe class PanelMatrix : IDisposable
{
    /// <summary>The outputs of a panel.</summary>
    public const int PanelWidth = 32;

    private static readonly int s_width = Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;

    private readonly NativeBuffer _panels;
    private readonly long _panelBytes;
    private readonly Tiles _tiles;

    private PanelMatrix(PanelType type, int outputs, int inputs)
    {
        (Type, Outputs, Inputs) = (type, outputs, inputs);
        _tiles = Tiles.Of(type);
        _panelBytes = (long)(inputs + 1) / 2 * _tiles.PairBytes;
        _panels = new NativeBuffer(Panels * _panelBytes);
    }

    /// <summary>The largest number of rows of activations that are multiplied at once.</summary>
    public static int MaxRows => Vector512.IsHardwareAccelerated ? Vector512Unit.MaxRows
        : Vector256.IsHardwareAccelerated ? Vector256Unit.MaxRows : Vector128Unit.MaxRows;

    /// <summary>The type of the weights.</summary>
    public PanelType Type { get; }

    /// <summary>The number of outputs.</summary>
    public int Outputs { get; }

    /// <summary>The number of inputs.</summary>
    public int Inputs { get; }

    /// <summary>The number of panels; the last one may have outputs that nobody asks for.</summary>
    public int Panels => (Outputs + PanelWidth - 1) / PanelWidth;

    /// <summary>The bytes of the weights.</summary>
    public long Bytes => _panels.Bytes;

    /// <summary>The number of panels that are multiplied at once by so many rows. Work is best divided into multiples of it.</summary>
    public static int PanelsAtOnce(int rows) => Math.Max(1, VectorsAtOnce(rows) * s_width / PanelWidth);

    /// <summary>Packs weights.</summary>
    /// <param name="weights">The weights, [outputs, inputs].</param>
    /// <param name="outputs">The number of outputs.</param>
    /// <param name="inputs">The number of inputs.</param>
    /// <param name="type">The type to keep them in. Each weight must be a number of this type: nothing is rounded.</param>
    /// <param name="crew">The threads that pack.</param>
    public static PanelMatrix Pack(float* weights, int outputs, int inputs, PanelType type, WorkCrew crew)
    {
        var matrix = new PanelMatrix(type, outputs, inputs);
        crew.Run(new Packing(matrix, weights), (matrix.Panels + Packing.PanelsPerChunk - 1) / Packing.PanelsPerChunk);
        return matrix;
    }

    /// <summary>The smaller of fp32 and bf16 that holds all of these numbers as they are.</summary>
    public static PanelType SmallestType(float* weights, long count)
    {
        var lower = Vector256<uint>.Zero;
        var i = 0L;
        for (; i <= count - Vector256<uint>.Count; i += Vector256<uint>.Count) lower |= Vector256.Load((uint*)weights + i);
        var all = 0u;
        for (var lane = 0; lane < Vector256<uint>.Count; lane++) all |= lower[lane];
        for (; i < count; i++) all |= ((uint*)weights)[i];
        return (all & 0xFFFF) == 0 ? PanelType.BFloat16 : PanelType.Float32;
    }

    /// <summary>The results of some panels: y[row, output] = Σ x[row, k]·w[output, k].</summary>
    /// <param name="x">The rows.</param>
    /// <param name="y">The result of the first row and output.</param>
    /// <param name="stride">The distance between rows of results.</param>
    /// <param name="firstPanel">The first panel.</param>
    /// <param name="endPanel">The panel after the last one.</param>
    public void Multiply(PackedRows x, float* y, long stride, int firstPanel, int endPanel)
    {
        var most = VectorsAtOnce(x.Count);
        var end = endPanel * PanelWidth;
        for (int output = firstPanel * PanelWidth, vectors; output < end; output += vectors * s_width)
        {
            vectors = most;
            while (output + vectors * s_width > end) vectors /= 2;
            var w = _panels.Address + output / PanelWidth * _panelBytes + output % PanelWidth * sizeof(float);
            var beyond = output + vectors * s_width - Outputs;
            for (var block = 0; block < x.Blocks; block++)
            {
                var to = y + x.Start(block) * stride + output;
                if (beyond <= 0) _tiles.Run(x.Rows(block), vectors, w, _panelBytes, x.Address(block), x.Inputs / 2, to, stride);
                else MultiplyLast(x, block, vectors, w, to, stride, vectors * s_width - beyond);
            }
        }
    }

    /// <summary>Copies the weights of an output, widened to fp32.</summary>
    /// <param name="output">The output, which is a row of the matrix.</param>
    /// <param name="to">Room for as many numbers as there are inputs.</param>
    public void CopyRow(int output, float* to)
    {
        var panel = _panels.Address + output / PanelWidth * _panelBytes;
        var lane = output % PanelWidth;
        for (var k = 0; k < Inputs; k++)
        {
            to[k] = Type switch
            {
                PanelType.Float32 => ((float*)panel)[k * PanelWidth + lane],
                PanelType.BFloat16 => BitConverter.Int32BitsToSingle(((ushort*)panel)[(k / 2 * PanelWidth + lane) * 2 + k % 2] << 16),
                _ => (float)((Half*)panel)[(k / 2 * PanelWidth + lane) * 2 + k % 2],
            };
        }
    }

    public void Dispose() => _panels.Dispose();

    // Eight sums under way keep the multipliers busy.
    private static int VectorsAtOnce(int rows) => rows switch { 1 => 8, 2 => 4, _ => 2 };

    // The last panel has results that lie beyond the rows of y.
    private void MultiplyLast(PackedRows x, int block, int vectors, byte* w, float* y, long stride, int outputs)
    {
        if (outputs <= 0) return;
        var width = vectors * s_width;
        var results = stackalloc float[x.Rows(block) * width];
        _tiles.Run(x.Rows(block), vectors, w, _panelBytes, x.Address(block), x.Inputs / 2, results, width);
        for (var row = 0; row < x.Rows(block); row++)
            new ReadOnlySpan<float>(results + row * width, outputs).CopyTo(new Span<float>(y + row * stride, outputs));
    }

    private void PackPanel(float* weights, int panel)
    {
        var to = _panels.Address + panel * _panelBytes;
        var count = Math.Min(PanelWidth, Outputs - panel * PanelWidth);
        var from = weights + (long)panel * PanelWidth * Inputs;
        for (var lane = 0; lane < count; lane++, from += Inputs)
        {
            switch (Type)
            {
                case PanelType.Float32:
                    for (var k = 0; k < Inputs; k++) ((float*)to)[k * PanelWidth + lane] = from[k];
                    break;
                case PanelType.BFloat16:
                    for (var k = 0; k < Inputs; k++) ((ushort*)to)[(k / 2 * PanelWidth + lane) * 2 + k % 2] = ((ushort*)(from + k))[1];
                    break;
                default:
                    for (var k = 0; k < Inputs; k++) ((Half*)to)[(k / 2 * PanelWidth + lane) * 2 + k % 2] = (Half)from[k];
                    break;
            }
        }
    }

    private sealed class Packing(PanelMatrix matrix, float* weights) : ICrewWork
    {
        public const int PanelsPerChunk = 16;

        public void Do(int chunk, int worker)
        {
            var end = Math.Min(matrix.Panels, (chunk + 1) * PanelsPerChunk);
            for (var panel = chunk * PanelsPerChunk; panel < end; panel++) matrix.PackPanel(weights, panel);
        }
    }
}
