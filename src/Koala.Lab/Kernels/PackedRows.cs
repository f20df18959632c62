using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Koala.Lab.Kernels;

/// <summary>
/// Rows of activations as the tiles read them: in blocks of a few rows, input k of all rows of a block beside each other.
/// </summary>
internal sealed unsafe class PackedRows : IDisposable
{
    private readonly ScratchBuffer _buffer = new();
    private float* _rows;
    private int _rowInputs;
    private int[] _starts = [0];   // the first row of each block, then the number of rows

    /// <summary>The number of rows.</summary>
    public int Count { get; private set; }

    /// <summary>The number of inputs, rounded up to pairs; an added input is zero.</summary>
    public int Inputs { get; private set; }

    /// <summary>The number of blocks.</summary>
    public int Blocks { get; private set; }

    /// <summary>The first row of a block.</summary>
    public int Start(int block) => _starts[block];

    /// <summary>The rows of a block.</summary>
    public int Rows(int block) => _starts[block + 1] - _starts[block];

    /// <summary>Whether the rows are read where they are, since a single row is packed already.</summary>
    public bool IsDirect => Count == 1 && _rowInputs == Inputs;

    /// <summary>The activations of a block.</summary>
    public float* Address(int block) => IsDirect ? _rows : _buffer.Floats + (long)_starts[block] * Inputs;

    /// <summary>Divides rows into blocks; <see cref="PackBlock"/> then packs each.</summary>
    /// <param name="rows">The first number of the first row.</param>
    /// <param name="count">The number of rows, at least 1.</param>
    /// <param name="inputs">The number of inputs, which is also the distance between rows.</param>
    public void Begin(float* rows, int count, int inputs)
    {
        _rows = rows;
        (_rowInputs, Count, Inputs) = (inputs, count, inputs + inputs % 2);
        _buffer.Reserve((long)count * Inputs);
        // Blocks are equally large, give or take one row: a block of one row takes as long as one of three or four.
        Blocks = (count + PanelMatrix.MaxRows - 1) / PanelMatrix.MaxRows;
        if (_starts.Length <= Blocks) _starts = new int[Blocks + 1];
        for (var block = 0; block <= Blocks; block++) _starts[block] = (int)((long)count * block / Blocks);
    }

    /// <summary>Packs the rows of a block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void PackBlock(int block)
    {
        if (IsDirect) return;
        var rows = Rows(block);
        var from = _rows + (long)Start(block) * _rowInputs;
        var to = Address(block);
        var row = 0;
        for (; CanInterleave && row <= rows - 4; row += 4) PackFour(from + (long)row * _rowInputs, to + row, rows);
        for (; row < rows; row++)
        {
            var input = from + (long)row * _rowInputs;
            for (var k = 0; k < _rowInputs; k++) to[(long)k * rows + row] = input[k];
        }
        if (_rowInputs % 2 != 0) new Span<float>(to + (long)_rowInputs * rows, rows).Clear();
    }

    public void Dispose() => _buffer.Dispose();

    // Four inputs of four rows at a time: a 4×4 transposition.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PackFour(float* from, float* to, int rows)
    {
        var k = 0;
        for (; k <= _rowInputs - 4; k += 4, from += 4)
        {
            var (a, b) = (Vector128.Load(from), Vector128.Load(from + _rowInputs));
            var (c, d) = (Vector128.Load(from + 2 * _rowInputs), Vector128.Load(from + 3 * _rowInputs));
            var (ab, cd) = (InterleaveLower(a, b), InterleaveLower(c, d));
            Vector128.Create(ab.GetLower(), cd.GetLower()).Store(to);
            Vector128.Create(ab.GetUpper(), cd.GetUpper()).Store(to + rows);
            (ab, cd) = (InterleaveUpper(a, b), InterleaveUpper(c, d));
            Vector128.Create(ab.GetLower(), cd.GetLower()).Store(to + 2 * rows);
            Vector128.Create(ab.GetUpper(), cd.GetUpper()).Store(to + 3 * rows);
            to += 4 * rows;
        }
        for (; k < _rowInputs; k++, from++, to += rows)
            for (var row = 0; row < 4; row++) to[row] = from[row * _rowInputs];
    }

    private static bool CanInterleave => Sse.IsSupported || AdvSimd.Arm64.IsSupported;

    private static Vector128<float> InterleaveLower(Vector128<float> a, Vector128<float> b) =>
        Sse.IsSupported ? Sse.UnpackLow(a, b) : AdvSimd.Arm64.ZipLow(a, b);

    private static Vector128<float> InterleaveUpper(Vector128<float> a, Vector128<float> b) =>
        Sse.IsSupported ? Sse.UnpackHigh(a, b) : AdvSimd.Arm64.ZipHigh(a, b);
}
