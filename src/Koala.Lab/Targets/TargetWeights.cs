using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The target's tensors, fused where they share their input, read under Hugging Face's names.</summary>
internal sealed class TargetWeights : IDisposable
{
    private TargetWeights(Tensor embedding, Tensor lmHead, Tensor[] layers)
    {
        (Embedding, LmHead, Layers) = (embedding, lmHead, layers);
        var all = ReferenceEquals(embedding, lmHead) ? [embedding, .. layers] : (Tensor[])[embedding, lmHead, .. layers];
        Count = all.Sum(t => t.numel());
        Bytes = all.Sum(t => t.numel() * t.element_size());
    }

    /// <summary>[V,D].</summary>
    public Tensor Embedding { get; }

    /// <summary>[V,D]; the embedding itself where they are tied.</summary>
    public Tensor LmHead { get; }

    /// <summary>Each layer's tensors in the order of <see cref="DecoderScript.LayerTensors"/>, then the final norm.</summary>
    public Tensor[] Layers { get; }

    public long Count { get; }

    public long Bytes { get; }

    public static TargetWeights Load(ModelFiles files, ScalarType dtype, Device device)
    {
        var (config, source) = (files.Config, files.Tensors);
        var expected = Expected(config);
        // Some files carry the tied LM head a second time, and older ones the rotary frequencies.
        string[] optional = [.. config.TieWordEmbeddings ? ["lm_head.weight"] : Array.Empty<string>(),
            .. Enumerable.Range(0, config.Layers).Select(i => $"model.layers.{i}.self_attn.rotary_emb.inv_freq")];
        TensorCheck.Check(source, expected, optional);

        using var scope = NewDisposeScope();
        Tensor Read(string name) => source.Read(name, dtype, device).DetachFromDisposeScope();
        Tensor Fuse(params string[] names)
        {
            // Each layer's parts are gone before the next one's are read: a large model is never held twice.
            using var parts = NewDisposeScope();
            return cat([.. names.Select(name => source.Read(name, dtype, device))], 0).DetachFromDisposeScope();
        }

        var layers = new List<Tensor>();
        for (var i = 0; i < config.Layers; i++)
        {
            var at = $"model.layers.{i}.";
            layers.AddRange([
                Read($"{at}input_layernorm.weight"),
                Fuse($"{at}self_attn.q_proj.weight", $"{at}self_attn.k_proj.weight", $"{at}self_attn.v_proj.weight"),
                Read($"{at}self_attn.o_proj.weight"),
                Read($"{at}post_attention_layernorm.weight"),
                Fuse($"{at}mlp.gate_proj.weight", $"{at}mlp.up_proj.weight"),
                Read($"{at}mlp.down_proj.weight"),
            ]);
            if (config.AttentionBias) layers.Add(Fuse($"{at}self_attn.q_proj.bias", $"{at}self_attn.k_proj.bias", $"{at}self_attn.v_proj.bias"));
            if (config.QueryKeyNorm) layers.AddRange([Read($"{at}self_attn.q_norm.weight"), Read($"{at}self_attn.k_norm.weight")]);
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
        var (hidden, inner, q, kv) = ((long)c.HiddenSize, (long)c.IntermediateSize, (long)c.Heads * c.HeadDim, (long)c.KeyValueHeads * c.HeadDim);
        var shapes = new Dictionary<string, long[]>
        {
            ["model.embed_tokens.weight"] = [c.VocabularySize, hidden],
            ["model.norm.weight"] = [hidden],
        };
        if (!c.TieWordEmbeddings) shapes["lm_head.weight"] = [c.VocabularySize, hidden];
        for (var i = 0; i < c.Layers; i++)
        {
            var at = $"model.layers.{i}.";
            shapes[$"{at}input_layernorm.weight"] = [hidden];
            shapes[$"{at}post_attention_layernorm.weight"] = [hidden];
            shapes[$"{at}self_attn.q_proj.weight"] = [q, hidden];
            shapes[$"{at}self_attn.k_proj.weight"] = [kv, hidden];
            shapes[$"{at}self_attn.v_proj.weight"] = [kv, hidden];
            shapes[$"{at}self_attn.o_proj.weight"] = [hidden, q];
            shapes[$"{at}mlp.gate_proj.weight"] = [inner, hidden];
            shapes[$"{at}mlp.up_proj.weight"] = [inner, hidden];
            shapes[$"{at}mlp.down_proj.weight"] = [hidden, inner];
            if (c.AttentionBias)
            {
                shapes[$"{at}self_attn.q_proj.bias"] = [q];
                shapes[$"{at}self_attn.k_proj.bias"] = [kv];
                shapes[$"{at}self_attn.v_proj.bias"] = [kv];
            }
            if (c.QueryKeyNorm)
            {
                shapes[$"{at}self_attn.q_norm.weight"] = [c.HeadDim];
                shapes[$"{at}self_attn.k_norm.weight"] = [c.HeadDim];
            }
        }
        return shapes;
    }
}
