using Koala.Lab.Kernels;
using Koala.Lab.Targets;

namespace Koala.Lab.Heads.Eagle;

/// <summary>The weights of an EAGLE head, packed for a CPU. D is the width of the target.</summary>
internal sealed unsafe class EagleCpuWeights : IDisposable
{
    private readonly NativeBuffer? _bias;

    public EagleCpuWeights(EagleWeights weights)
    {
        var crew = CpuDecoder.Crew;
        Fuse = weights.Find("fuse") is { } fuse ? PackedTensor.Matrix(fuse, crew) : null;
        Fc = PackedTensor.Matrix(weights["fc"], crew);
        _bias = weights.Find("fc.bias") is { } bias ? PackedTensor.Row(bias) : null;
        Layers = [.. Enumerable.Range(0, weights.Options.Layers)
            .Select(layer => new CpuLayer(
                name => PackedTensor.Matrix(weights.Layer(layer, name), crew),
                name => weights.Find($"layers.{layer}.{name}") is { } row ? PackedTensor.Row(row) : null))];
    }

    /// <summary>The layer over the target's features, [D,F]; null if the features are hidden states.</summary>
    public PanelMatrix? Fuse { get; }

    /// <summary>The layer over pairs, [D,2D].</summary>
    public PanelMatrix Fc { get; }

    /// <summary>The bias of <see cref="Fc"/>; null if it has none.</summary>
    public float* FcBias => _bias is null ? null : _bias.Floats;

    public IReadOnlyList<CpuLayer> Layers { get; }

    public void Dispose()
    {
        Fuse?.Dispose();
        Fc.Dispose();
        _bias?.Dispose();
        foreach (var layer in Layers) layer.Dispose();
    }
}
