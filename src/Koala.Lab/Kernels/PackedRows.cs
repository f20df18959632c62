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
    public void PackBlock(int block)
    {
        if (IsDirect) return;
        var rows = Rows(block);
        for (var row = 0; row < rows; row++)
        {
            var input = _rows + (long)(Start(block) + row) * _rowInputs;
            var place = Address(block) + row;
            for (var k = 0; k < _rowInputs; k++, place += rows) *place = input[k];
            if (_rowInputs % 2 != 0) *place = 0;
        }
    }

    public void Dispose() => _buffer.Dispose();
}
