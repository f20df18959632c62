using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Gguf;

namespace Koala.Lab.Targets;

/// <summary>
/// Checks that a target's files contain the tensors of its layers, and nothing that these layers would have to compute beside them.
/// </summary>
/// <remarks>
/// A tensor that belongs to no part of the decoder changes no answer and is left unread, as other readers leave it: buffers of older
/// versions, a classifier's output layer, towers for images. A tensor inside the decoder that Koala does not compute, such as a bias or
/// another norm, is refused: the answers would be those of another model.
/// </remarks>
internal static class TargetTensors
{
    /// <summary>The name of the output layer.</summary>
    public const string LmHead = "lm_head.weight";

    // What older versions of transformers saved beside the weights. It follows from the config.
    private static readonly string[] s_buffers = [".rotary_emb.inv_freq", ".rotary_emb.cos_cached", ".rotary_emb.sin_cached"];

    /// <summary>Whether the files contain an output layer.</summary>
    public static bool HasLmHead(ModelFiles files) => files.Tensors.Tensors.ContainsKey(LmHead);

    /// <exception cref="KoalaException">
    /// A tensor is missing or has a wrong shape, or the decoder has a tensor that Koala does not compute.
    /// </exception>
    public static void Check(ModelFiles files)
    {
        var (config, source) = (files.Config, files.Tensors);
        if (source.Tensors.Keys.FirstOrDefault(IsAdapter) is { } adapter)
            throw new KoalaException(source.Path,
                $"contains the weights of an adapter (LoRA) beside those of the model: {MessageText.Text(adapter)}",
                ForeignFolder.MergedAdapter);
        if (!HasLmHead(files) && config.TieWordEmbeddings == false)
            throw new KoalaException(source.Path,
                $"has no {LmHead}, but the config says that the output layer is not the embedding (tie_word_embeddings is false)",
                "get the weights again; if the output layer is the embedding, set tie_word_embeddings to true");
        var expected = Expected(config, HasLmHead(files));
        CheckLayers(source, config.Layers);
        TensorCheck.Check(source, expected, [.. source.Tensors.Keys.Where(name => !IsOfDecoder(name, source, expected))]);
    }

    private static bool IsAdapter(string name) =>
        name.Contains(".lora_", StringComparison.Ordinal) || name.Contains(".base_layer.", StringComparison.Ordinal);

    private static void CheckLayers(ITensorSource source, int layers)
    {
        static int? LayerOf(string name) =>
            name.Split('.') is ["model", "layers", var number, ..] && int.TryParse(number, out var layer) ? layer : null;
        if (source.Tensors.Keys.Max(LayerOf) is { } last && last >= layers)
            throw new KoalaException(source.Path, $"contains {last + 1} layers, but the config says {layers} (num_hidden_layers)",
                "check that the weights and the config belong to the same model");
    }

    // Whether a tensor belongs to the part of the model that Koala computes. A GGUF file of the llama architecture has no other part.
    private static bool IsOfDecoder(string name, ITensorSource source, Dictionary<string, long[]> expected)
    {
        if (source is GgufFile || expected.ContainsKey(name)) return true;
        if (s_buffers.Any(buffer => name.EndsWith(buffer, StringComparison.Ordinal))) return false;
        return name.StartsWith("model.layers.", StringComparison.Ordinal)
            || name.StartsWith("model.norm.", StringComparison.Ordinal)
            || name.StartsWith("model.embed_tokens.", StringComparison.Ordinal)
            || name.StartsWith("lm_head.", StringComparison.Ordinal);
    }

    /// <summary>The tensors of a model and their shapes.</summary>
    internal static Dictionary<string, long[]> Expected(ModelConfig c, bool hasLmHead)
    {
        long hidden = c.HiddenSize;
        long inner = c.IntermediateSize;
        var q = (long)c.Heads * c.HeadDim;
        var kv = (long)c.KeyValueHeads * c.HeadDim;
        var shapes = new Dictionary<string, long[]>
        {
            ["model.embed_tokens.weight"] = [c.VocabularySize, hidden],
            ["model.norm.weight"] = [hidden],
        };
        if (hasLmHead) shapes[LmHead] = [c.VocabularySize, hidden];
        for (var i = 0; i < c.Layers; i++)
        {
            var prefix = $"model.layers.{i}.";
            shapes[$"{prefix}input_layernorm.weight"] = [hidden];
            shapes[$"{prefix}post_attention_layernorm.weight"] = [hidden];
            if (c.FusedProjections)
            {
                shapes[$"{prefix}self_attn.qkv_proj.weight"] = [q + 2 * kv, hidden];
                shapes[$"{prefix}mlp.gate_up_proj.weight"] = [2 * inner, hidden];
            }
            else
            {
                shapes[$"{prefix}self_attn.q_proj.weight"] = [q, hidden];
                shapes[$"{prefix}self_attn.k_proj.weight"] = [kv, hidden];
                shapes[$"{prefix}self_attn.v_proj.weight"] = [kv, hidden];
                shapes[$"{prefix}mlp.gate_proj.weight"] = [inner, hidden];
                shapes[$"{prefix}mlp.up_proj.weight"] = [inner, hidden];
            }
            shapes[$"{prefix}self_attn.o_proj.weight"] = [hidden, q];
            shapes[$"{prefix}mlp.down_proj.weight"] = [hidden, inner];
            if (c.OutputNorms)
            {
                shapes[$"{prefix}pre_feedforward_layernorm.weight"] = [hidden];
                shapes[$"{prefix}post_feedforward_layernorm.weight"] = [hidden];
            }
            if (c.AttentionBias)
            {
                shapes[$"{prefix}self_attn.q_proj.bias"] = [q];
                shapes[$"{prefix}self_attn.k_proj.bias"] = [kv];
                shapes[$"{prefix}self_attn.v_proj.bias"] = [kv];
            }
            if (c.QueryKeyNorm)
            {
                shapes[$"{prefix}self_attn.q_norm.weight"] = [c.HeadDim];
                shapes[$"{prefix}self_attn.k_norm.weight"] = [c.HeadDim];
            }
        }
        return shapes;
    }
}
