using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The weights of a decoder layer, packed for <see cref="CpuDecoder"/>.</summary>
internal sealed unsafe class CpuLayer : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    private CpuLayer(Func<string, Tensor?> tensor, WorkCrew crew)
    {
        using var scope = NewDisposeScope();
        PanelMatrix Matrix(string name) => Own(PackedTensor.Matrix(tensor(name)!, crew));
        float* Row(string name)
        {
            if (tensor(name) is not { } row) return null;
            return Own(PackedTensor.Row(row)).Floats;
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

    /// <summary>The bytes of the matrices.</summary>
    public long Bytes => Qkv.Bytes + Output.Bytes + GateUp.Bytes + Down.Bytes;

    /// <summary>Packs layers whose tensors follow one another; see <see cref="DecoderScript.LayerTensors"/>.</summary>
    public static CpuLayer[] PackAll(ModelConfig config, IReadOnlyList<Tensor> tensors, int layers, WorkCrew crew)
    {
        string[] names = [.. DecoderScript.LayerTensors(config)];
        CpuLayer Layer(int layer)
        {
            Tensor? Find(string name)
            {
                var at = Array.IndexOf(names, name);
                return at < 0 ? null : tensors[layer * names.Length + at];
            }
            return Pack(Find, crew);
        }
        return [.. Enumerable.Range(0, layers).Select(Layer)];
    }

    /// <summary>Packs a layer.</summary>
    /// <param name="tensor">The tensor with one of the names of <see cref="DecoderScript.LayerTensors"/>; null where there is none.</param>
    /// <param name="crew">The threads that pack.</param>
    public static CpuLayer Pack(Func<string, Tensor?> tensor, WorkCrew crew) => new(tensor, crew);

    public void Dispose()
    {
        foreach (var owned in _owned) owned.Dispose();
    }

    private T Own<T>(T value) where T : IDisposable
    {
        _owned.Add(value);
        return value;
    }
}
