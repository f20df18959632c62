namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>Translates the names of tensors in a GGUF file to Hugging Face's names.</summary>
internal static class GgufNames
{
    /// <summary>
    /// The tensor of the divisors of the rotary frequencies, for models that stretch them like Llama 3. It belongs to the config, not to
    /// the weights.
    /// </summary>
    internal const string RopeDivisors = "rope_freqs.weight";

    private static readonly Dictionary<string, string> s_model = new()
    {
        ["token_embd.weight"] = "model.embed_tokens.weight",
        ["output_norm.weight"] = "model.norm.weight",
        ["output.weight"] = "lm_head.weight",
    };

    private static readonly Dictionary<string, string> s_layer = new()
    {
        ["attn_norm.weight"] = "input_layernorm.weight",
        ["attn_q.weight"] = "self_attn.q_proj.weight",
        ["attn_k.weight"] = "self_attn.k_proj.weight",
        ["attn_v.weight"] = "self_attn.v_proj.weight",
        ["attn_q.bias"] = "self_attn.q_proj.bias",
        ["attn_k.bias"] = "self_attn.k_proj.bias",
        ["attn_v.bias"] = "self_attn.v_proj.bias",
        ["attn_q_norm.weight"] = "self_attn.q_norm.weight",
        ["attn_k_norm.weight"] = "self_attn.k_norm.weight",
        ["attn_output.weight"] = "self_attn.o_proj.weight",
        ["ffn_norm.weight"] = "post_attention_layernorm.weight",
        ["ffn_gate.weight"] = "mlp.gate_proj.weight",
        ["ffn_up.weight"] = "mlp.up_proj.weight",
        ["ffn_down.weight"] = "mlp.down_proj.weight",
    };

    /// <summary>
    /// Returns Hugging Face's name of a tensor. A tensor without such a name keeps its own, and the check of the weights then reports it
    /// as unexpected.
    /// </summary>
    internal static string HuggingFace(string name)
    {
        if (s_model.TryGetValue(name, out var model)) return model;
        return name.Split('.', 3) is ["blk", var layer, var part] && s_layer.TryGetValue(part, out var known)
            ? $"model.layers.{layer}.{known}"
            : name;
    }

    /// <summary>Whether neighbouring rows of a tensor are rotated as pairs: those of queries and keys in the llama architecture.</summary>
    internal static bool IsPaired(string name) =>
        name.EndsWith(".attn_q.weight", StringComparison.Ordinal) || name.EndsWith(".attn_k.weight", StringComparison.Ordinal);
}
