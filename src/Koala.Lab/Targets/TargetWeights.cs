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
        TargetTensors.Check(files);
        var config = files.Config;
        using var source = new CheckedTensors(files.Tensors);
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
        return new TargetWeights(embedding, ReadLmHead(), [.. layers]);

        // A file may contain the tied LM head a second time. If it differs from the embedding, the file's own counts, as in current
        // versions of transformers.
        Tensor ReadLmHead()
        {
            if (!TargetTensors.HasLmHead(files)) return embedding;
            var lmHead = Read(TargetTensors.LmHead);
            if (config.TieWordEmbeddings != true || !lmHead.eq(embedding).all().item<bool>()) return lmHead;
            lmHead.Dispose();
            return embedding;
        }
    }

    public void Dispose()
    {
        Embedding.Dispose();
        LmHead.Dispose();
        foreach (var tensor in Layers) tensor.Dispose();
    }
}
