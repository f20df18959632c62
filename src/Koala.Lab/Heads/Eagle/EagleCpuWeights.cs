using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>The weights of an EAGLE head, packed for a CPU. D is the width of the target.</summary>
internal sealed unsafe class EagleCpuWeights : IDisposable
{
    private readonly Dictionary<string, NativeBuffer> _rows = [];
    private readonly CpuDecoder? _own;

    public EagleCpuWeights(EagleWeights weights, Target target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var crew = CpuDecoder.Crew;
        float* Row(string name)
        {
            if (weights.Find(name) is not { } row) return null;
            _rows[name] = PackedTensor.Row(row);
            return _rows[name].Floats;
        }
        PanelMatrix? Packed(Tensor? matrix) => matrix is null ? null : PackedTensor.Matrix(matrix, crew);
        Options = weights.Options;
        Epsilon = (float)weights.Config.RmsNormEps;
        Decoder = weights.Config == target.Config ? target.Model.Cpu!.Decoder : _own = new CpuDecoder(weights.Config);
        (Fuse, Fc, LmHead) = (Packed(weights.Fusion), Packed(weights.Find("fc")), Packed(weights.Find("lm_head")));
        FcBias = Row("fc.bias");
        FuseNorm = Row("fuse_norm");
        for (var i = 0; i < Options.FusedCount; i++) Row($"fuse_norms.{i}");
        HiddenNorm = Row("layers.0.hidden_norm");
        EmbeddingNorm = Options.IsEagle3 ? Row("layers.0.input_norm") : null;
        Norm = Row("norm");
        Layers = [.. Enumerable.Range(0, weights.Options.Layers)
            .Select(layer => new CpuLayer(
                name => PackedTensor.Matrix(weights.Layer(layer, name), crew),
                name => weights.Find($"layers.{layer}.{name}") is { } row ? PackedTensor.Row(row) : null))];
    }

    /// <summary>See <see cref="EagleWeights.Fusion"/>, [D,F]; null if the features are hidden states.</summary>
    public PanelMatrix? Fuse { get; }

    /// <summary>The layer over pairs, [D,2D]; null in EAGLE-3.</summary>
    public PanelMatrix? Fc { get; }

    /// <summary>The head's own LM head, [V',D]; null if the target's is shared.</summary>
    public PanelMatrix? LmHead { get; }

    /// <summary>The bias of <see cref="Fc"/>; null if it has none.</summary>
    public float* FcBias { get; }

    /// <summary>The weights of the norm over all fused states; null if there is none.</summary>
    public float* FuseNorm { get; }

    /// <summary>The weights of the norm over embeddings; null except in EAGLE-3.</summary>
    public float* EmbeddingNorm { get; }

    /// <summary>The weights of the norm over features; null except in EAGLE-3.</summary>
    public float* HiddenNorm { get; }

    /// <summary>The weights of the norm after the layers; null except in EAGLE-3.</summary>
    public float* Norm { get; }

    /// <summary>What the norms add under the root.</summary>
    public float Epsilon { get; }

    public EagleOptions Options { get; }

    /// <summary>What runs the layers: that of the target, where the sizes are the same.</summary>
    public CpuDecoder Decoder { get; }

    public IReadOnlyList<CpuLayer> Layers { get; }

    /// <summary>The weights of the norm over one of the fused states; null if it has none.</summary>
    public float* FeatureNorm(int state) => _rows.TryGetValue($"fuse_norms.{state}", out var row) ? row.Floats : null;

    public void Dispose()
    {
        foreach (var matrix in (PanelMatrix?[])[Fuse, Fc, LmHead]) matrix?.Dispose();
        foreach (var row in _rows.Values) row.Dispose();
        _own?.Dispose();
        foreach (var layer in Layers) layer.Dispose();
    }
}
