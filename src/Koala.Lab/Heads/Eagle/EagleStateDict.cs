using Koala.Lab.Checkpoints;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>
/// The published tensor names of EAGLE: <c>fc.weight</c>, <c>fc.bias</c>, and those of a decoder layer under
/// <c>layers.{i}.</c>, where the first layer has no <c>input_layernorm</c>. The names <c>d2t</c> and <c>t2d</c> of a
/// draft vocabulary are those of EAGLE-3. The name <c>fuse.weight</c> for fused features is Koala's own. A head of EAGLE-3's architecture
/// has the names of speculators: <c>fc.weight</c> fuses the states, the first layer has a <c>hidden_norm</c>, and there are
/// <c>norm.weight</c> and, if it is the head's own, <c>lm_head.weight</c>. The names <c>confidence.weight</c> and <c>confidence.bias</c> of
/// a confidence output and <c>fusion.weight</c> of the weights of fused states are Koala's own.
/// </summary>
/// <remarks>
/// After the model files of SafeAILab/EAGLE, without the embedding and the LM head, which are the target's.
/// </remarks>
internal static class EagleStateDict
{
    private const string Offsets = "d2t";
    private const string Chosen = "t2d";

    /// <summary>The name of the learned weights of the fused states, which is Koala's own.</summary>
    public const string FusionWeights = "fusion.weight";

    public static EagleHead Read(ITensorSource source, EagleOptions options, Target target)
    {
        using var scope = NewDisposeScope();
        EagleHead.CheckFusedLayers(options, target);
        var config = options.LayersFor(target.Config);
        var expected = new Dictionary<string, long[]>();
        EagleWeights.Create(config, options, name =>
        {
            foreach (var part in Parts(config, options, name)) expected[part.Name] = part.Shape;
            return empty(0);
        });
        if (options.DraftVocabulary > 0)
        {
            expected[Offsets] = [options.DraftVocabulary];
            expected[Chosen] = [config.VocabularySize];
        }
        TensorCheck.Check(source, expected, options.DraftVocabulary > 0 ? [Chosen] : []);
        var weights = EagleWeights.Create(config, options, name =>
        {
            Tensor[] parts = [.. Parts(config, options, name).Select(part => source.Read(part.Name, target.Dtype, target.Device))];
            return (parts.Length == 1 ? parts[0] : cat(parts, 0)).DetachFromDisposeScope();
        });
        return new EagleHead(weights, target, options.DraftVocabulary > 0 ? ReadVocabulary(source, config) : null);
    }

    /// <summary>
    /// The tensors of a head's file: views of the weights, and the maps of a draft vocabulary. The caller must dispose
    /// them.
    /// </summary>
    public static StateDict Create(EagleWeights weights, DraftVocabulary? vocabulary)
    {
        var tensors = new List<KeyValuePair<string, Tensor>>();
        foreach (var (name, tensor) in weights.All)
        {
            var start = 0L;
            foreach (var part in Parts(weights.Config, weights.Options, name))
            {
                tensors.Add(new(part.Name, tensor.narrow(0, start, part.Shape[0])));
                start += part.Shape[0];
            }
        }
        if (vocabulary is null) return [.. tensors];
        var chosen = new bool[vocabulary.TargetVocabularySize];
        foreach (var token in vocabulary.Tokens) chosen[token] = true;
        tensors.Add(new(Offsets, tensor([.. vocabulary.Tokens.Select((token, id) => (long)token - id)], ScalarType.Int64)));
        tensors.Add(new(Chosen, tensor(chosen)));
        return [.. tensors];
    }

    // The target's token id is the head's own id plus the offset at this id.
    private static DraftVocabulary ReadVocabulary(ITensorSource source, ModelConfig config)
    {
        var offsets = source.Read(Offsets, ScalarType.Int64, CPU).data<long>().ToArray();
        long[] tokens = [.. offsets.Select((offset, id) => unchecked(id + offset))];
        for (var id = 0; id < tokens.Length; id++)
        {
            if (tokens[id] < 0 || tokens[id] >= config.VocabularySize)
                throw new KoalaException($"{source.Path}, tensor '{Offsets}'",
                    $"maps token {id} to {tokens[id]}, but the target has the tokens 0 to {config.VocabularySize - 1}",
                    "use the head with its own target; the numbers are offsets, not ids");
            if (id > 0 && tokens[id] <= tokens[id - 1])
                throw new KoalaException($"{source.Path}, tensor '{Offsets}'",
                    $"maps token {id} to {tokens[id]}, which is not above that of the token before it, {tokens[id - 1]}",
                    "use the head's file as it was written; the numbers are offsets, not ids");
        }
        // Servers do not need the second map, so files may lack it.
        if (!source.Tensors.ContainsKey(Chosen)) return new DraftVocabulary([.. tokens.Select(token => (int)token)], config.VocabularySize);
        var chosen = source.Read(Chosen, ScalarType.Bool, CPU).data<bool>().ToArray();
        var chosenTokens = Enumerable.Range(0, config.VocabularySize).Where(token => chosen[token]).Select(token => (long)token);
        if (!tokens.SequenceEqual(chosenTokens))
            throw new KoalaException(source.Path, $"{Offsets} and {Chosen} do not name the same tokens in ascending order",
                "use the head's file as it was written");
        return new DraftVocabulary([.. tokens.Select(token => (int)token)], config.VocabularySize);
    }

    /// <summary>
    /// The published tensors that, concatenated along the first dimension, make up one of Koala's tensors.
    /// </summary>
    private static IEnumerable<(string Name, long[] Shape)> Parts(ModelConfig c, EagleOptions options, string name)
    {
        var hidden = (long)c.HiddenSize;
        var inner = (long)c.IntermediateSize;
        var q = (long)c.Heads * c.HeadDim;
        var kv = (long)c.KeyValueHeads * c.HeadDim;
        var layer = name[..(name.LastIndexOf('.') + 1)];   // "layers.0.", or empty
        var attention = $"{layer}self_attn.";
        var fused = options.FusedCount * hidden;
        // The attention of EAGLE-3's first layer reads embedding and feature.
        var read = options.IsEagle3 && layer == "layers.0." ? 2 * hidden : hidden;
        if (layer == "fuse_norms.") return [($"fc_norm.{name[layer.Length..]}.weight", [hidden])];
        return name[layer.Length..] switch
        {
            "fuse" => [(options.IsEagle3 ? "fc.weight" : "fuse.weight", [hidden, fused])],
            "fuse_weights" => [(FusionWeights, [options.FusedCount])],
            "fuse_norm" => [("input_norm.weight", [fused])],
            "norm" => [("norm.weight", [hidden])],
            ConfidenceOutput.WeightName => [("confidence.weight", [ConfidenceOutput.Outputs, hidden])],
            ConfidenceOutput.BiasName => [("confidence.bias", [ConfidenceOutput.Outputs])],
            "lm_head" => [("lm_head.weight", [options.DraftVocabulary > 0 ? options.DraftVocabulary : c.VocabularySize, hidden])],
            "hidden_norm" => [($"{layer}hidden_norm.weight", [hidden])],
            "fc" => [("fc.weight", [hidden, 2 * hidden])],
            "bias" => [("fc.bias", [hidden])],
            "input_norm" => [($"{layer}input_layernorm.weight", [hidden])],
            "qkv" =>
            [
                ($"{attention}q_proj.weight", [q, read]),
                ($"{attention}k_proj.weight", [kv, read]),
                ($"{attention}v_proj.weight", [kv, read]),
            ],
            "qkv_bias" => [($"{attention}q_proj.bias", [q]), ($"{attention}k_proj.bias", [kv]), ($"{attention}v_proj.bias", [kv])],
            "q_norm" => [($"{attention}q_norm.weight", [c.HeadDim])],
            "k_norm" => [($"{attention}k_norm.weight", [c.HeadDim])],
            "o" => [($"{attention}o_proj.weight", [hidden, q])],
            "post_norm" => [($"{layer}post_attention_layernorm.weight", [hidden])],
            "gate_up" => [($"{layer}mlp.gate_proj.weight", [inner, hidden]), ($"{layer}mlp.up_proj.weight", [inner, hidden])],
            "down" => [($"{layer}mlp.down_proj.weight", [hidden, inner])],
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "This is not a tensor of an EAGLE head."),
        };
    }

    /// <summary>The shape of one of Koala's tensors.</summary>
    public static long[] ShapeOf(ModelConfig config, EagleOptions options, string name)
    {
        var parts = Parts(config, options, name).ToArray();
        return [parts.Sum(part => part.Shape[0]), .. parts[0].Shape[1..]];
    }
}
