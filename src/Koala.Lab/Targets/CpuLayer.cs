using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The weights of a decoder layer, packed for <see cref="CpuDecoder"/>.</summary>
internal sealed unsafe class CpuLayer : IDisposable
{
    private readonly Dictionary<string, NativeBuffer> _rows = [];

    private CpuLayer(Func<string, Tensor?> tensor, WorkCrew crew)
    {
        PanelMatrix Matrix(string name)
        {
            using var scope = NewDisposeScope();
            return PackedTensor.Matrix(tensor(name)!, crew);
        }
        float* Row(string name)
        {
            using var scope = NewDisposeScope();
            if (tensor(name) is not { } row) return null;
            _rows[name] = PackedTensor.Row(row);
            return _rows[name].Floats;
        }
        (Qkv, Output, GateUp, Down) = (Matrix("qkv"), Matrix("o"), Matrix("gate_up"), Matrix("down"));
        InputNorm = Row("input_norm");
        PostNorm = Row("post_norm");
        QkvBias = Row("qkv_bias");
        QueryNorm = Row("q_norm");
        KeyNorm = Row("k_norm");
    }

    public PanelMatrix Qkv { get; }

    public PanelMatrix Output { get; }

    public PanelMatrix GateUp { get; }

    public PanelMatrix Down { get; }

    /// <summary>The weights of the norm before attention; null in the first layer of an EAGLE head.</summary>
    public float* InputNorm { get; }

    public float* PostNorm { get; }

    /// <summary>The biases of queries, keys and values; null where the family has none.</summary>
    public float* QkvBias { get; }

    /// <summary>The weights of the queries' norm; null where the family has none.</summary>
    public float* QueryNorm { get; }

    /// <summary>The weights of the keys' norm; null where the family has none.</summary>
    public float* KeyNorm { get; }

    /// <summary>The matrices.</summary>
    public IEnumerable<PanelMatrix> Matrices => [Qkv, Output, GateUp, Down];

    /// <summary>The number of weights that are not in matrices.</summary>
    public long RowNumbers => _rows.Values.Sum(row => row.Bytes / sizeof(float));

    /// <summary>Packs a layer.</summary>
    /// <param name="tensor">The tensor with one of the names of <see cref="DecoderScript.LayerTensors"/>; null where there is none.</param>
    /// <param name="crew">The threads that pack.</param>
    public static CpuLayer Pack(Func<string, Tensor?> tensor, WorkCrew crew) => new(tensor, crew);

    /// <summary>The weights as tensors, in the order of <see cref="DecoderScript.LayerTensors"/>.</summary>
    public IEnumerable<Tensor> ToTensors(ModelConfig config) => DecoderScript.LayerTensors(config).Select(name => name switch
    {
        "qkv" => PackedTensor.ToTensor(Qkv),
        "o" => PackedTensor.ToTensor(Output),
        "gate_up" => PackedTensor.ToTensor(GateUp),
        "down" => PackedTensor.ToTensor(Down),
        _ => PackedTensor.ToTensor(_rows[name]),
    });

    public void Dispose()
    {
        foreach (var matrix in Matrices) matrix.Dispose();
        foreach (var row in _rows.Values) row.Dispose();
    }
}
