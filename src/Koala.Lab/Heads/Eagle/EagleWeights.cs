using Koala.Lab.Checkpoints;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>The tensors of an EAGLE head. D is the width of the target.</summary>
/// <remarks>
/// Matrix products that share their input are fused, as in the target. The first layer has no input norm.
/// </remarks>
internal sealed class EagleWeights
{
    private EagleWeights(ModelConfig config, EagleOptions options, StateDict all)
    {
        (Config, Options, All) = (config, options, all);
        Stack = [.. all.Where(t => t.Key != "fuse").Select(t => t.Value)];
    }

    public ModelConfig Config { get; }

    public EagleOptions Options { get; }

    /// <summary>
    /// All tensors by name: fuse (if features are fused), fc, fc.bias, then <c>layers.{i}.</c> with the names of
    /// <see cref="DecoderScript.LayerTensors"/>.
    /// </summary>
    public StateDict All { get; }

    /// <summary>The tensors that <see cref="DecoderScript.HeadForward"/> takes, in its order.</summary>
    public Tensor[] Stack { get; }

    public Tensor this[string name] => All[name];

    /// <summary>The tensor with this name in <see cref="All"/>; null if this head has none, such as a bias.</summary>
    public Tensor? Find(string name) => All.Find(name);

    /// <summary>A tensor of a layer. The first layer has no input norm.</summary>
    /// <param name="layer">The number of the layer, counted from 0.</param>
    /// <param name="name">One of the names of <see cref="DecoderScript.LayerTensors"/>.</param>
    /// <exception cref="KeyNotFoundException">The layer has no such tensor.</exception>
    public Tensor Layer(int layer, string name) => All[$"layers.{layer}.{name}"];

    /// <summary>Creates the tensors of a head one by one, in the order of <see cref="All"/>.</summary>
    public static EagleWeights Create(ModelConfig config, EagleOptions options, Func<string, Tensor> make) =>
        new(config, options, [.. Names(config, options).Select(name => KeyValuePair.Create(name, make(name)))]);

    /// <summary>The same weights in another dtype; gradients flow through the rounding.</summary>
    public EagleWeights To(ScalarType dtype) => Create(Config, Options, name => this[name].to(dtype));

    /// <summary>Turns features [N,F] into the features that fc takes, [N,D].</summary>
    /// <remarks>
    /// The outputs of three layers are normed and joined; without the norm those of inner layers differ by orders of
    /// magnitude. EAGLE-3 joins them without a norm. The norms have no weights, since the layer after them has some.
    /// </remarks>
    public Tensor Fuse(Tensor features)
    {
        if (Find("fuse") is not { } fuse) return features;
        var parts = features.view(features.shape[0], -1, Config.HiddenSize);
        return nn.functional.linear(Norm(parts, null).flatten(1), fuse);
    }

    /// <summary>
    /// Root-mean-square norm over the last dimension, computed in fp32 as the target's, with the target's epsilon.
    /// </summary>
    /// <param name="x">The input, [...,W] with any width W.</param>
    /// <param name="weight">The weight that the result is multiplied by, [W]; null means no weight.</param>
    /// <returns>The normed input, [...,W], in the dtype of <paramref name="x"/>.</returns>
    public Tensor Norm(Tensor x, Tensor? weight)
    {
        var wide = x.to(ScalarType.Float32);
        var normed = (wide * (wide.square().mean([-1], keepdim: true) + Config.RmsNormEps).rsqrt()).to(x.dtype);
        return weight is null ? normed : normed * weight;
    }

    private static IEnumerable<string> Names(ModelConfig config, EagleOptions options)
    {
        if (options.FusedFeatures) yield return "fuse";
        yield return "fc";
        if (options.Bias) yield return "fc.bias";
        for (var i = 0; i < options.Layers; i++)
            foreach (var name in DecoderScript.LayerTensors(config.ForHeads).Skip(i == 0 ? 1 : 0)) yield return $"layers.{i}.{name}";
    }
}
