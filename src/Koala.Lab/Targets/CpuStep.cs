using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;

namespace Koala.Lab.Targets;

/// <summary>
/// The memory of a step of <see cref="CpuDecoder"/>, and its layers one after another. It is used again, step after step.
/// </summary>
/// <remarks>N rows, D width, I inner width, H query heads, G key/value heads, d head width.</remarks>
internal sealed unsafe class CpuStep(ModelConfig config, float[][] frequencies) : ICrewWork, IDisposable
{
    private const int WeightsPerChunk = 1 << 18;

    private readonly int _heads = config.Heads;
    private readonly int _keyValueHeads = config.KeyValueHeads;
    private readonly int _headDim = config.HeadDim;
    private readonly int _width = config.HiddenSize;
    private readonly int _inner = config.IntermediateSize;
    private readonly float _epsilon = (float)config.RmsNormEps;
    private readonly float _scale = (float)(config.AttentionScale ?? 1 / Math.Sqrt(config.HeadDim));
    private readonly float _softCap = (float)(config.AttentionSoftCap ?? 0);
    private readonly float[] _factors = RotaryEmbedding.Factors(config);
    private readonly bool _isGelu = config.Activation != "silu";
    private readonly PackedRows _packed = new();
    private readonly ScratchBuffer[] _cos = [new(), new()], _sin = [new(), new()];   // [N,d/2], of full and of local layers
    private readonly ScratchBuffer _normed = new();                // [N,D]; also what a product adds to the rows
    private readonly ScratchBuffer _qkv = new();                   // [N,(H+2G)·d]
    private readonly ScratchBuffer _attended = new();              // [N,H·d]
    private readonly ScratchBuffer _gateUp = new();                // [N,2I]
    private readonly ScratchBuffer _gated = new();                 // [N,I]
    private readonly ScratchBuffer _scores = new();                // a row for each thread

    private WorkCrew _crew = null!;
    private int _rowsToShare;
    private float* _x;
    private StepRows _rows = null!;
    private KeyValueCache _cache = null!;
    private CpuLayer _layer = null!;
    private int _number;
    private int _scoreRoom;
    private int _local;             // 1 in a layer with a sliding window, else 0
    private VisibleSlots[] _windows = [];
    private int[] _starts = [];     // the slots at which the windows begin

    // The work that the crew's threads do.
    private Phase _phase;
    private int _chunkSize;
    private PanelMatrix _matrix = null!;
    private float* _to;
    private float* _weight;
    private float* _normedFrom;

    private enum Phase
    {
        Norm,
        Pack,
        Multiply,
        Rotate,
        Attend,
        Gate,
        Add,
    }

    private int QkvWidth => (_heads + 2 * _keyValueHeads) * _headDim;

    /// <summary>Sets the threads, and the number of rows from which on they share what is not a product.</summary>
    public CpuStep With(WorkCrew crew, int rowsToShare)
    {
        (_crew, _rowsToShare) = (crew, rowsToShare);
        return this;
    }

    /// <summary>Prepares a step.</summary>
    public void Begin(float* x, StepRows rows, KeyValueCache cache)
    {
        _x = x;
        (_rows, _cache) = (rows, cache);
        _scoreRoom = AttentionKernel.ScoreRoom(rows.MostVisible);
        _scores.Reserve((long)_crew.Threads * _scoreRoom);
        for (var local = 0; local < (config.LocalRopeTheta is null ? 1 : 2); local++) Rotations(local);
        if (config.SlidingWindow is not { } window) return;
        (_windows, _starts) = (new VisibleSlots[rows.Count], new int[rows.Count]);
        for (var row = 0; row < rows.Count; row++) (_windows[row], _starts[row]) = rows.Visible(row).Last(window);
    }

    private void Rotations(int local)
    {
        var half = _headDim / 2;
        var cos = _cos[local].Reserve((long)_rows.Count * half);
        var sin = _sin[local].Reserve((long)_rows.Count * half);
        for (var row = 0; row < _rows.Count; row++)
        {
            // Neighbours of a level stand at the same position.
            if (row > 0 && _rows.Position(row) == _rows.Position(row - 1))
            {
                new ReadOnlySpan<float>(cos - half, half).CopyTo(new Span<float>(cos, half));
                new ReadOnlySpan<float>(sin - half, half).CopyTo(new Span<float>(sin, half));
            }
            else
            {
                for (var i = 0; i < half; i++) (sin[i], cos[i]) = MathF.SinCos(_rows.Position(row) * frequencies[local][i]);
                for (var i = 0; i < half && config.RotaryFactor != 1; i++) (sin[i], cos[i]) = (sin[i] * _factors[i], cos[i] * _factors[i]);
            }
            cos += half;
            sin += half;
        }
    }

    /// <summary>Runs a layer over the rows.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="number">Its number.</param>
    /// <param name="read">What its attention reads; null means the rows after its input norm.</param>
    public void Layer(CpuLayer layer, int number, float* read)
    {
        (_layer, _number) = (layer, number);
        _local = config.WindowOf(number) is null ? 0 : 1;
        var count = _rows.Count;
        var normed = _normed.Reserve((long)count * _width);
        var qkv = _qkv.Reserve((long)count * QkvWidth);
        var attended = _attended.Reserve((long)count * _heads * _headDim);
        var gateUp = _gateUp.Reserve((long)count * 2 * _inner);
        var gated = _gated.Reserve((long)count * _inner);

        Multiply(layer.Qkv, read is null ? Norm(layer.InputNorm, normed) : read, count, qkv);
        Share(Phase.Rotate, count);
        Attend();
        Multiply(layer.Output, attended, count, normed);
        NormOutput(layer.AttentionOutputNorm, normed);
        Share(Phase.Add, count);
        Multiply(layer.GateUp, Norm(layer.PostNorm, normed), count, gateUp);
        Share(Phase.Gate, count);
        Multiply(layer.Down, gated, count, normed);
        NormOutput(layer.FeedForwardOutputNorm, normed);
        Share(Phase.Add, count);
    }

    /// <summary>y = x·wᵀ.</summary>
    public void Multiply(PanelMatrix matrix, float* x, int count, float* y)
    {
        _matrix = matrix;
        _to = y;
        _packed.Begin(x, count, matrix.Inputs);
        Share(Phase.Pack, _packed.Blocks, count);
        _chunkSize = Chunk(matrix, count);
        _phase = Phase.Multiply;
        _crew.Run(this, (matrix.Panels + _chunkSize - 1) / _chunkSize);
    }

    public void Dispose()
    {
        _packed.Dispose();
        foreach (var buffer in (ScratchBuffer[])[.. _cos, .. _sin, _normed, _qkv, _attended, _gateUp, _gated, _scores]) buffer.Dispose();
    }

    /// <inheritdoc/>
    public void Do(int chunk, int worker)
    {
        var start = chunk * _chunkSize;
        switch (_phase)
        {
            case Phase.Multiply:
                _matrix.Multiply(_packed, _to, _matrix.Outputs, start, Math.Min(_matrix.Panels, start + _chunkSize));
                break;
            case Phase.Attend:
                AttendHeads(start, Math.Min(_rows.Count * _heads, start + _chunkSize), worker);
                break;
            case Phase.Pack:
                for (var block = start; block < Math.Min(_packed.Blocks, start + _chunkSize); block++) _packed.PackBlock(block);
                break;
            default:
                for (var row = start; row < Math.Min(_rows.Count, start + _chunkSize); row++) DoRow(row);
                break;
        }
    }

    // The panels of a chunk: as many as keep a thread busy for some ten microseconds, beside which claiming one costs little, but no more
    // than leave two chunks for each thread.
    private int Chunk(PanelMatrix matrix, int rows)
    {
        var panels = Math.Min(WeightsPerChunk / (matrix.Inputs * PanelMatrix.PanelWidth), matrix.Panels / (2 * _crew.Threads));
        panels = Math.Max(panels, matrix.Panels / WorkCrew.MaxChunks + 1);
        var atOnce = PanelMatrix.PanelsAtOnce(rows);
        return (panels + atOnce - 1) / atOnce * atOnce;
    }

    // The rows after a norm; the rows themselves where there is none.
    private float* Norm(float* weight, float* to)
    {
        if (weight is null) return _x;
        _weight = weight;
        _normedFrom = _x;
        Share(Phase.Norm, _rows.Count);
        return to;
    }

    // Norms what is to be added to the rows, where the family does.
    private void NormOutput(float* weight, float* rows)
    {
        if (weight is null) return;
        _weight = weight;
        _normedFrom = rows;
        Share(Phase.Norm, _rows.Count);
    }

    private void Attend()
    {
        var units = _rows.Count * _heads;
        _phase = Phase.Attend;
        _chunkSize = Math.Max(1, units / (16 * _crew.Threads));
        // Short contexts take less time than to share them.
        if ((long)units * _rows.MostVisible * _headDim < 16384) _chunkSize = units;
        _crew.Run(this, (units + _chunkSize - 1) / _chunkSize);
    }

    private void Share(Phase phase, int count) => Share(phase, count, count);

    // Runs something for each of so many rows or blocks.
    private void Share(Phase phase, int count, int rows)
    {
        _phase = phase;
        _chunkSize = rows < _rowsToShare ? count : Math.Max(1, count / (8 * _crew.Threads));
        _crew.Run(this, (count + _chunkSize - 1) / _chunkSize);
    }

    private void DoRow(int row)
    {
        var x = _x + (long)row * _width;
        var normed = _normed.Floats + (long)row * _width;
        switch (_phase)
        {
            case Phase.Norm:
                RowKernels.Norm(_normedFrom + (long)row * _width, _weight, _epsilon, _width, normed);
                break;
            case Phase.Add:
                RowKernels.Add(x, normed, _width);
                break;
            case Phase.Gate:
                var gate = _gateUp.Floats + (long)row * 2 * _inner;
                RowKernels.Gate(gate, gate + _inner, _inner, _gated.Floats + (long)row * _inner, _isGelu);
                break;
            default:
                Rotate(row, _qkv.Floats + (long)row * QkvWidth);
                break;
        }
    }

    // Norms and rotates queries and keys, and writes keys and values to the cache.
    private void Rotate(int row, float* qkv)
    {
        if (_layer.QkvBias is not null) RowKernels.Add(qkv, _layer.QkvBias, QkvWidth);
        var half = _headDim / 2;
        var rotations = config.LocalRopeTheta is null ? 0 : _local;
        var cos = _cos[rotations].Floats + (long)row * half;
        var sin = _sin[rotations].Floats + (long)row * half;
        var isRotated = !config.UnrotatedLayers.Contains(_number);
        for (var head = 0; head < _heads + _keyValueHeads; head++)
        {
            var numbers = qkv + head * _headDim;
            var norm = head < _heads ? _layer.QueryNorm : _layer.KeyNorm;
            if (norm is not null) RowKernels.Norm(numbers, norm, _epsilon, _headDim, numbers);
            if (isRotated) RowKernels.Rotate(numbers, cos, sin, half);
        }
        var keys = new ReadOnlySpan<float>(qkv + _heads * _headDim, _keyValueHeads * _headDim);
        var values = new ReadOnlySpan<float>(qkv + (_heads + _keyValueHeads) * _headDim, _keyValueHeads * _headDim);
        for (var head = 0; head < _keyValueHeads; head++)
        {
            var at = _cache.Row(_rows.Sequence(row), head, _rows.Slot(row)) * _headDim;
            keys.Slice(head * _headDim, _headDim).CopyTo(new Span<float>(_cache.KeyFloats(_number) + at, _headDim));
            values.Slice(head * _headDim, _headDim).CopyTo(new Span<float>(_cache.ValueFloats(_number) + at, _headDim));
        }
    }

    // Heads of all rows, head by head: those that share a key/value head follow one another.
    private void AttendHeads(int start, int end, int worker)
    {
        for (var unit = start; unit < end; unit++)
        {
            var (head, row) = (unit / _rows.Count, unit % _rows.Count);
            var (visible, first) = _local == 1 ? (_windows[row], _starts[row]) : (_rows.Visible(row), 0);
            var at = _cache.Row(_rows.Sequence(row), head / (_heads / _keyValueHeads), first) * _headDim;
            AttentionKernel.Run(
                _qkv.Floats + (long)row * QkvWidth + head * _headDim,
                _cache.KeyFloats(_number) + at,
                _cache.ValueFloats(_number) + at,
                visible,
                _headDim,
                _scale,
                _scores.Floats + (long)worker * _scoreRoom,
                _attended.Floats + ((long)row * _heads + head) * _headDim,
                _softCap);
        }
    }
}
