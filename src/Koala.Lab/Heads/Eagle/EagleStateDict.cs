using Koala.Lab.Checkpoints;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>
/// EAGLE's published tensor names: <c>fc.weight</c>, <c>fc.bias</c> and a decoder layer's under <c>layers.{i}.</c>, where the first has no
/// <c>input_layernorm</c>; EAGLE-3's <c>d2t</c> and <c>t2d</c> of a draft vocabulary. Koala's own: <c>fuse.weight</c> of fused features.
/// </summary>
/// <remarks>After SafeAILab/EAGLE's model files, without the embedding and the LM head, which are the target's.</remarks>
internal static class EagleStateDict
{
    private const string Offsets = "d2t";
    private const string Chosen = "t2d";

    public static EagleHead Read(ITensorSource source, EagleOptions options, Target target)
    {
        using var scope = NewDisposeScope();
        var config = target.Config;
        var expected = new Dictionary<string, long[]>();
        EagleWeights.Create(config, options, name =>
        {
            foreach (var part in Parts(config, name)) expected[part.Name] = part.Shape;
            return empty(0);
        });
        if (options.DraftVocabulary > 0)
        {
            expected[Offsets] = [options.DraftVocabulary];
            expected[Chosen] = [config.VocabularySize];
        }
        TensorCheck.Check(source, expected);
        var weights = EagleWeights.Create(config, options, name =>
        {
            Tensor[] parts = [.. Parts(config, name).Select(part => source.Read(part.Name, target.Dtype, target.Device))];
            return (parts.Length == 1 ? parts[0] : cat(parts, 0)).DetachFromDisposeScope();
        });
        return new EagleHead(weights, target, options.DraftVocabulary > 0 ? ReadVocabulary(source, config) : null);
    }

    /// <summary>The tensors of a head's file: views, and a draft vocabulary's maps; the caller disposes them.</summary>
    public static StateDict Create(EagleWeights weights, DraftVocabulary? vocabulary)
    {
        var tensors = new List<KeyValuePair<string, Tensor>>();
        foreach (var (name, tensor) in weights.All)
        {
            var start = 0L;
            foreach (var part in Parts(weights.Config, name))
            {
                tensors.Add(new(part.Name, tensor.narrow(0, start, part.Shape[0])));
                start += part.Shape[0];
            }
        }
        if (vocabulary is null) return [.. tensors];
        var chosen = new bool[vocabulary.Complete];
        foreach (var token in vocabulary.Tokens) chosen[token] = true;
        tensors.Add(new(Offsets, tensor([.. vocabulary.Tokens.Select((token, id) => (long)token - id)], ScalarType.Int64)));
        tensors.Add(new(Chosen, tensor(chosen)));
        return [.. tensors];
    }

    // The target's token is the head's own id and the offset there.
    private static DraftVocabulary ReadVocabulary(ITensorSource source, ModelConfig config)
    {
        var offsets = source.Read(Offsets, ScalarType.Int64, CPU).data<long>().ToArray();
        var chosen = source.Read(Chosen, ScalarType.Bool, CPU).data<bool>().ToArray();
        long[] tokens = [.. offsets.Select((offset, id) => unchecked(id + offset))];
        if (!tokens.SequenceEqual(Enumerable.Range(0, config.VocabularySize).Where(token => chosen[token]).Select(token => (long)token)))
            throw new KoalaException(source.Path, $"{Offsets} and {Chosen} do not name the same tokens, rising", "take the head's file as it was written");
        return new DraftVocabulary([.. tokens.Select(token => (int)token)], config.VocabularySize);
    }

    /// <summary>The published tensors that one of ours is made of, one below the other.</summary>
    private static IEnumerable<(string Name, long[] Shape)> Parts(ModelConfig c, string name)
    {
        var (hidden, inner, q, kv) = ((long)c.HiddenSize, (long)c.IntermediateSize, (long)c.Heads * c.HeadDim, (long)c.KeyValueHeads * c.HeadDim);
        var at = name[..(name.LastIndexOf('.') + 1)];
        return name[at.Length..] switch
        {
            "fuse" => [("fuse.weight", [hidden, EagleHead.FusedLayers * hidden])],
            "fc" => [("fc.weight", [hidden, 2 * hidden])],
            "bias" => [("fc.bias", [hidden])],
            "input_norm" => [($"{at}input_layernorm.weight", [hidden])],
            "qkv" => [($"{at}self_attn.q_proj.weight", [q, hidden]), ($"{at}self_attn.k_proj.weight", [kv, hidden]), ($"{at}self_attn.v_proj.weight", [kv, hidden])],
            "qkv_bias" => [($"{at}self_attn.q_proj.bias", [q]), ($"{at}self_attn.k_proj.bias", [kv]), ($"{at}self_attn.v_proj.bias", [kv])],
            "q_norm" => [($"{at}self_attn.q_norm.weight", [c.HeadDim])],
            "k_norm" => [($"{at}self_attn.k_norm.weight", [c.HeadDim])],
            "o" => [($"{at}self_attn.o_proj.weight", [hidden, q])],
            "post_norm" => [($"{at}post_attention_layernorm.weight", [hidden])],
            "gate_up" => [($"{at}mlp.gate_proj.weight", [inner, hidden]), ($"{at}mlp.up_proj.weight", [inner, hidden])],
            "down" => [($"{at}mlp.down_proj.weight", [hidden, inner])],
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "not a tensor of a layer"),
        };
    }

    /// <summary>The shape that a tensor of ours has.</summary>
    public static long[] ShapeOf(ModelConfig config, string name)
    {
        var parts = Parts(config, name).ToArray();
        return [parts.Sum(part => part.Shape[0]), .. parts[0].Shape[1..]];
    }
}
