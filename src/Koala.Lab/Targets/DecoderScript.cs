using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Native;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>
/// The decoder layers of the Llama family as TorchScript functions: one native call runs a whole step of a target or a
/// head.
/// </summary>
/// <remarks>
/// Decoder.py holds the functions and is compiled once per process. An object of this class holds the sizes and
/// switches of one <see cref="ModelConfig"/>, which the functions take as arguments. B sequences, T new tokens each, N
/// = B·T rows, D width. EagleTrainingPass.Layer is the same layer in plain operators, with gradients. The test
/// EagleDrafterTests.Every_node_of_a_tree_equals_the_training_pass_on_its_path holds the two together; ReferenceTests
/// compares this one with a plain forward pass.
/// </remarks>
internal sealed class DecoderScript
{
    private static readonly Lazy<jit.CompilationUnit> s_unit = new(() => jit.compile(EmbeddedFile.Read("Decoder.py")));

    private readonly object[] _sizes;   // H, G, d, eps, bias, qk_norm, output_norms, gelu, scale, cap of Decoder.py
    private readonly ModelConfig _config;

    /// <param name="config">
    /// The sizes and switches of a target, or of the target whose layers a head's layers resemble.
    /// </param>
    public DecoderScript(ModelConfig config)
    {
        _config = config;
        _sizes =
        [
            config.Heads, config.KeyValueHeads, config.HeadDim, config.RmsNormEps, config.AttentionBias, config.QueryKeyNorm,
            config.OutputNorms, config.Activation != "silu", (config.AttentionScale ?? 0) * Math.Sqrt(config.HeadDim),
            config.AttentionSoftCap ?? 0,
        ];
    }

    /// <summary>The names of a layer's tensors, in the order in which Decoder.py takes them.</summary>
    /// <remarks>Tensors that share their input are fused, which gives fewer and larger products.</remarks>
    public static IReadOnlyList<string> LayerTensors(ModelConfig config)
    {
        List<string> names = ["input_norm", "qkv", "o", "post_norm", "gate_up", "down"];
        if (config.AttentionBias) names.Add("qkv_bias");
        if (config.QueryKeyNorm) names.AddRange(["q_norm", "k_norm"]);
        if (config.OutputNorms) names.AddRange(["attention_output_norm", "feed_forward_output_norm"]);
        return names;
    }

    /// <summary>Runs a target's layers and its final norm.</summary>
    /// <param name="rows">Embedded tokens, [N,D].</param>
    /// <param name="weights">The layers' tensors one after another, then the final norm.</param>
    /// <param name="step">The positions, slots and attention mask of the tokens.</param>
    /// <param name="cache">The cache; the functions write keys and values into it at the step's slots.</param>
    /// <returns>Hidden states, [N,D].</returns>
    public Tensor Forward(Tensor rows, Tensor[] weights, StepInputs step, KeyValueCache cache) =>
        (Tensor)s_unit.Value.Call("target_forward", Arguments(rows, weights, step, cache));

    /// <summary>
    /// As <see cref="Forward"/>, with the output of every layer, the last one after the final norm: [N,D] each.
    /// </summary>
    public Tensor[] States(Tensor rows, Tensor[] weights, StepInputs step, KeyValueCache cache) =>
        (Tensor[])s_unit.Value.Call("target_states", Arguments(rows, weights, step, cache));

    /// <summary>
    /// Runs an EAGLE head's layers. They begin with a linear layer over the pairs, the first one has no input norm, and
    /// no norm follows the last one.
    /// </summary>
    /// <param name="pairs">Embeddings and features, concatenated, [N,2D].</param>
    /// <param name="weights">
    /// The linear layer, its bias where it has one, then the layers' tensors one after another.
    /// </param>
    /// <param name="bias">Whether the linear layer has a bias.</param>
    /// <param name="step">The positions, slots and attention mask of the tokens.</param>
    /// <param name="cache">The cache; the functions write keys and values into it at the step's slots.</param>
    /// <returns>The last layer's output, [N,D].</returns>
    public Tensor HeadForward(Tensor pairs, Tensor[] weights, bool bias, StepInputs step, KeyValueCache cache) =>
        (Tensor)s_unit.Value.Call("head_forward", [.. Arguments(pairs, weights, step, cache), bias]);

    /// <summary>
    /// Runs the layers of an EAGLE-3 head. The attention of the first one reads the norms of embedding and feature side by side, and no
    /// norm follows the last one.
    /// </summary>
    /// <param name="pairs">Embeddings and features, concatenated, [N,2D].</param>
    /// <param name="weights">The layers' tensors one after another; the first layer has a second norm after its input norm.</param>
    /// <param name="normBeforeResidual">Whether the residual of the first layer is the normed feature.</param>
    /// <param name="step">The positions, slots and attention mask of the tokens.</param>
    /// <param name="cache">The cache; the functions write keys and values into it at the step's slots.</param>
    /// <returns>The last layer's output, [N,D].</returns>
    public Tensor Eagle3Forward(Tensor pairs, Tensor[] weights, bool normBeforeResidual, StepInputs step, KeyValueCache cache) =>
        (Tensor)s_unit.Value.Call("eagle3_forward", [.. Arguments(pairs, weights, step, cache), normBeforeResidual]);

    private object[] Arguments(Tensor rows, Tensor[] weights, StepInputs step, KeyValueCache cache)
    {
        var layers = Enumerable.Range(0, cache.Keys.Length).ToArray();
        return
        [
            rows, weights, cache.Keys, cache.Values,
            layers.Select(layer => step.Rotations(_config, layer).Cos).ToArray(),
            layers.Select(layer => step.Rotations(_config, layer).Sin).ToArray(),
            layers.Select(layer => _config.WindowOf(layer) is null ? step.Mask : step.WindowMask).ToArray(),
            step.Slots, cache.Batch, step.KeyValueLength,
            .. _sizes,
        ];
    }
}
