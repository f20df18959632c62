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
        var stacked = all.Where(t => t.Key.StartsWith("layers.", StringComparison.Ordinal) || t.Key is "fc" or "fc.bias");
        Stack = [.. stacked.Select(t => t.Value)];
    }

    public ModelConfig Config { get; }

    public EagleOptions Options { get; }

    /// <summary>
    /// All tensors by name: those of the confidence output (if there is one), then (if features are fused) fuse with its norms and
    /// weights of the states, fc, fc.bias, then <c>layers.{i}.</c> with the names of
    /// <see cref="DecoderScript.LayerTensors"/>, and in EAGLE-3 norm and lm_head. EAGLE-3 has no fc, and hidden_norm in its first layer.
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
    /// <param name="target">The target's config, or that of the head's layers.</param>
    /// <param name="options">The options of the head.</param>
    /// <param name="make">Makes the tensor of a name.</param>
    public static EagleWeights Create(ModelConfig target, EagleOptions options, Func<string, Tensor> make)
    {
        var config = options.LayersFor(target);
        return new(config, options, [.. Names(config, options).Select(name => KeyValuePair.Create(name, make(name)))]);
    }

    /// <summary>The same weights in another dtype; gradients flow through the rounding.</summary>
    public EagleWeights To(ScalarType dtype) => Create(Config, Options, name => this[name].to(dtype));

    /// <summary>The confidence output; null if there is none.</summary>
    public ConfidenceOutput? Confidence => Find(ConfidenceOutput.WeightName) is { } weight
        ? new ConfidenceOutput(weight, this[ConfidenceOutput.BiasName])
        : null;

    /// <summary>
    /// The layer over the fused states, [D,F], with the learned weights of the states in it: a weight multiplies the columns of its state.
    /// Null if features are not fused. Without weights of the states it is the tensor itself.
    /// </summary>
    public Tensor? Fusion => Find("fuse") is { } fuse
        ? Find("fuse_weights") is { } weights ? fuse * weights.repeat_interleave(Config.HiddenSize) : fuse
        : null;

    /// <summary>Turns features [N,F] into the features that fc takes, [N,D].</summary>
    /// <remarks>
    /// The outputs of three layers are normed and joined; without the norm those of inner layers differ by orders of magnitude. The norms
    /// have no weights, since the layer after them has some. EAGLE-3 joins the outputs as they are, or with the norms that it publishes.
    /// </remarks>
    public Tensor Fuse(Tensor features)
    {
        if (Fusion is not { } fuse) return features;
        return nn.functional.linear(Options.IsEagle3 ? NormedAsPublished(features) : NormedParts(features, _ => null), fuse);
    }

    /// <summary>What a head continues from, [N,D]: the outputs of its layers, [N,D], or their norm.</summary>
    public Tensor Continued(Tensor outputs) => Options.NormOutput ? Norm(outputs, this["norm"]) : outputs;

    /// <summary>What the LM head gets, [N,D], from what the head continues from, [N,D].</summary>
    public Tensor BeforeLmHead(Tensor continued) =>
        Find("norm") is { } norm && !Options.NormOutput ? Norm(continued, norm) : continued;

    private Tensor NormedAsPublished(Tensor features) =>
        Find("fuse_norm") is { } norm ? Norm(features, norm)
        : Options.FeatureNorms ? NormedParts(features, part => this[$"fuse_norms.{part}"])
        : features;

    // Norms each of the states, [N,n·D], by itself.
    private Tensor NormedParts(Tensor features, Func<int, Tensor?> weight)
    {
        var parts = features.view(features.shape[0], -1, Config.HiddenSize);
        return cat([.. Enumerable.Range(0, (int)parts.shape[1]).Select(i => Norm(parts.select(1, i), weight(i)))], 1);
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
        // The adversary looks at the gradients of the last matrix, which is one of the head itself.
        if (options.Confidence)
        {
            yield return ConfidenceOutput.WeightName;
            yield return ConfidenceOutput.BiasName;
        }
        if (options.NormBeforeFc) yield return "fuse_norm";
        for (var i = 0; options.FeatureNorms && i < options.FusedCount; i++) yield return $"fuse_norms.{i}";
        if (options.FusionWeights) yield return "fuse_weights";
        if (options.FusedFeatures) yield return "fuse";
        if (!options.IsEagle3) yield return "fc";
        if (options.Bias) yield return "fc.bias";
        for (var i = 0; i < options.Layers; i++)
        {
            foreach (var name in DecoderScript.LayerTensors(config).Skip(i == 0 && !options.IsEagle3 ? 1 : 0))
            {
                yield return $"layers.{i}.{name}";
                if (i == 0 && name == "input_norm") yield return "layers.0.hidden_norm";
            }
        }
        if (options.IsEagle3) yield return "norm";
        if (options.OwnLmHead) yield return "lm_head";
    }
}
