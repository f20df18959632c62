using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The weights of a decoder layer, packed for <see cref="CpuDecoder"/>.</summary>
internal sealed unsafe class CpuLayer : IDisposable
{
    private readonly Dictionary<string, NativeBuffer> _rows = [];

    /// <param name="matrix">Makes the matrix with one of the names of <see cref="DecoderScript.LayerTensors"/>.</param>
    /// <param name="row">Makes a row of numbers with one of these names; null where there is none.</param>
    public CpuLayer(Func<string, PanelMatrix> matrix, Func<string, NativeBuffer?> row)
    {
        float* Row(string name)
        {
            if (row(name) is not { } numbers) return null;
            _rows[name] = numbers;
            return numbers.Floats;
        }
        (Qkv, Output, GateUp, Down) = (matrix("qkv"), matrix("o"), matrix("gate_up"), matrix("down"));
        InputNorm = Row("input_norm");
        PostNorm = Row("post_norm");
        QkvBias = Row("qkv_bias");
        QueryNorm = Row("q_norm");
        KeyNorm = Row("k_norm");
        AttentionOutputNorm = Row("attention_output_norm");
        FeedForwardOutputNorm = Row("feed_forward_output_norm");
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

    /// <summary>The weights of the norm of attention's output; null where the family has none.</summary>
    public float* AttentionOutputNorm { get; }

    /// <summary>The weights of the norm of the feed-forward part's output; null where the family has none.</summary>
    public float* FeedForwardOutputNorm { get; }

    /// <summary>The matrices.</summary>
    public IEnumerable<PanelMatrix> Matrices => [Qkv, Output, GateUp, Down];

    /// <summary>The number of weights that are not in matrices.</summary>
    public long RowNumbers => _rows.Values.Sum(row => row.Bytes / sizeof(float));

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
