using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The target's tensors, read under Hugging Face's names and fused where they share their input.</summary>
internal sealed class TargetWeights : IDisposable
{
    private TargetWeights(Tensor embedding, Tensor lmHead, Tensor[] layers)
    {
        (Embedding, LmHead, Layers) = (embedding, lmHead, layers);
        Tensor[] tensors = ReferenceEquals(embedding, lmHead) ? [embedding, .. layers] : [embedding, lmHead, .. layers];
        Count = tensors.Sum(t => t.numel());
        Bytes = tensors.Sum(t => t.numel() * t.element_size());
    }

    /// <summary>The embedding, [V,D].</summary>
    public Tensor Embedding { get; }

    /// <summary>The LM head, [V,D]; the embedding itself where they are tied.</summary>
    public Tensor LmHead { get; }

    /// <summary>
    /// Each layer's tensors in the order of <see cref="DecoderScript.LayerTensors"/>, then the final norm.
    /// </summary>
    public Tensor[] Layers { get; }

    /// <summary>The number of weights.</summary>
    public long Count { get; }

    /// <summary>The bytes of all weights.</summary>
    public long Bytes { get; }

    public static TargetWeights Load(ModelFiles files, ScalarType dtype, Device device)
    {
        var (config, source) = (files.Config, files.Tensors);
        var expected = Expected(config);
        // Some files contain the tied LM head a second time, and older ones contain the rotary frequencies.
        string[] optional =
        [
            .. config.TieWordEmbeddings ? ["lm_head.weight"] : Array.Empty<string>(),
            .. Enumerable.Range(0, config.Layers).Select(i => $"model.layers.{i}.self_attn.rotary_emb.inv_freq"),
        ];
        TensorCheck.Check(source, expected, optional);

        using var scope = NewDisposeScope();
        Tensor Read(string name) => source.Read(name, dtype, device).DetachFromDisposeScope();
        Tensor Fuse(params string[] names)
        {
            // Each layer's parts are freed before the next one's are read, so that a large model is never held twice.
            using var parts = NewDisposeScope();
            return cat([.. names.Select(name => source.Read(name, dtype, device))], 0).DetachFromDisposeScope();
        }

        var layers = new List<Tensor>();
        for (var i = 0; i < config.Layers; i++)
        {
            var attention = $"model.layers.{i}.self_attn";
            var mlp = $"model.layers.{i}.mlp";
            layers.AddRange([
                Read($"model.layers.{i}.input_layernorm.weight"),
                Fuse($"{attention}.q_proj.weight", $"{attention}.k_proj.weight", $"{attention}.v_proj.weight"),
                Read($"{attention}.o_proj.weight"),
                Read($"model.layers.{i}.post_attention_layernorm.weight"),
                Fuse($"{mlp}.gate_proj.weight", $"{mlp}.up_proj.weight"),
                Read($"{mlp}.down_proj.weight"),
            ]);
            if (config.AttentionBias)
                layers.Add(Fuse($"{attention}.q_proj.bias", $"{attention}.k_proj.bias", $"{attention}.v_proj.bias"));
            if (config.QueryKeyNorm)
                layers.AddRange([Read($"{attention}.q_norm.weight"), Read($"{attention}.k_norm.weight")]);
        }
        layers.Add(Read("model.norm.weight"));
        var embedding = Read("model.embed_tokens.weight");
        return new TargetWeights(embedding, config.TieWordEmbeddings ? embedding : Read("lm_head.weight"), [.. layers]);
    }

    public void Dispose()
    {
        Embedding.Dispose();
        LmHead.Dispose();
        foreach (var tensor in Layers) tensor.Dispose();
    }

    private static Dictionary<string, long[]> Expected(ModelConfig c)
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
        if (!c.TieWordEmbeddings) shapes["lm_head.weight"] = [c.VocabularySize, hidden];
        for (var i = 0; i < c.Layers; i++)
        {
            var prefix = $"model.layers.{i}.";
            shapes[$"{prefix}input_layernorm.weight"] = [hidden];
            shapes[$"{prefix}post_attention_layernorm.weight"] = [hidden];
            shapes[$"{prefix}self_attn.q_proj.weight"] = [q, hidden];
            shapes[$"{prefix}self_attn.k_proj.weight"] = [kv, hidden];
            shapes[$"{prefix}self_attn.v_proj.weight"] = [kv, hidden];
            shapes[$"{prefix}self_attn.o_proj.weight"] = [hidden, q];
            shapes[$"{prefix}mlp.gate_proj.weight"] = [inner, hidden];
            shapes[$"{prefix}mlp.up_proj.weight"] = [inner, hidden];
            shapes[$"{prefix}mlp.down_proj.weight"] = [hidden, inner];
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
