using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Tests.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>
/// Writes a model's folder as a GGUF file as converters do: with other names, reversed dimensions, and the rows of
/// queries and keys in pairs.
/// </summary>
internal static class GgufConversion
{
    private static readonly (string HuggingFace, string Gguf)[] s_names =
    [
        ("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output"),
        ("model.layers", "blk"), ("post_attention_layernorm", "ffn_norm"),
        ("input_layernorm", "attn_norm"), ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm"),
        ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
    ];

    /// <param name="folder">
    /// The folder of a Llama or Qwen model without scaled rotary positions, whose tokenizer splits digits.
    /// </param>
    /// <param name="dtype">The number format of the stored weights.</param>
    public static GgufBytes Of(string folder, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var model = ModelFiles.Open(folder);
        var config = model.Config;
        var kind = config.ModelType;
        var file = new GgufBytes()
            .Set("general.architecture", kind)
            .Set($"{kind}.context_length", (uint)config.ContextLength)
            .Set($"{kind}.embedding_length", (uint)config.HiddenSize)
            .Set($"{kind}.block_count", (uint)config.Layers).Set($"{kind}.feed_forward_length", (uint)config.IntermediateSize)
            .Set($"{kind}.attention.head_count", (uint)config.Heads)
            .Set($"{kind}.attention.head_count_kv", (uint)config.KeyValueHeads)
            .Set($"{kind}.attention.key_length", (uint)config.HeadDim)
            .Set($"{kind}.attention.layer_norm_rms_epsilon", (float)config.RmsNormEps)
            .Set($"{kind}.rope.freq_base", (float)config.RopeTheta)
            .Set($"{kind}.rope.dimension_count", (uint)config.HeadDim).Set($"{kind}.vocab_size", (uint)config.VocabularySize);
        AddTokenizer(file, folder, config.VocabularySize, "smollm");
        var type = dtype switch
        {
            ScalarType.Float32 => 0u,
            ScalarType.Float16 => 1u,
            _ => 30u,
        };
        foreach (var (name, info) in model.Tensors.Tensors)
        {
            var weights = model.Tensors.Read(name, dtype, CPU);
            if (kind == "llama" && name.Contains("q_proj", StringComparison.Ordinal)) weights = Paired(weights, config.Heads);
            if (kind == "llama" && name.Contains("k_proj", StringComparison.Ordinal)) weights = Paired(weights, config.KeyValueHeads);
            file.Tensor(s_names.Aggregate(name,
                (n, pair) => n.Replace(pair.HuggingFace, pair.Gguf, StringComparison.Ordinal)),
                [.. info.Shape.Reverse().Select(s => (ulong)s)],
                type, weights.contiguous().bytes.ToArray());
        }
        return file;
    }

    /// <summary>Adds the contents of tokenizer.json, tokenizer_config.json and generation_config.json.</summary>
    public static void AddTokenizer(GgufBytes file, string folder, int vocabulary, string pre)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "tokenizer.json")));
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "tokenizer_config.json")));
        var model = document.RootElement.GetProperty("model");
        var (tokens, types) = (new string[vocabulary], new int[vocabulary]);
        for (var i = 0; i < vocabulary; i++) (tokens[i], types[i]) = ($"[PAD{i}]", 5);
        foreach (var token in model.GetProperty("vocab").EnumerateObject())
            (tokens[token.Value.GetInt32()], types[token.Value.GetInt32()]) = (token.Name, 1);
        foreach (var added in document.RootElement.GetProperty("added_tokens").EnumerateArray())
        {
            var id = added.GetProperty("id").GetInt32();
            tokens[id] = added.GetProperty("content").GetString()!;
            types[id] = added.GetProperty("special").GetBoolean() ? 3 : 4;
        }
        file.Set("tokenizer.ggml.model", "gpt2")
            .Set("tokenizer.ggml.pre", pre)
            .Set("tokenizer.ggml.tokens", tokens)
            .Set("tokenizer.ggml.token_type", types)
            .Set("tokenizer.ggml.merges",
                [.. model.GetProperty("merges")
                    .EnumerateArray()
                    .Select(m => m.ValueKind == JsonValueKind.String ? m.GetString()! : $"{m[0]} {m[1]}")]);
        foreach (var (role, key) in (ReadOnlySpan<(string, string)>)[("bos_token", "bos_token_id"),
            ("eos_token", "eos_token_id"), ("unk_token", "unknown_token_id"), ("pad_token", "padding_token_id")])
            if (config.RootElement.TryGetProperty(role, out var content) && content.ValueKind == JsonValueKind.String)
                file.Set($"tokenizer.ggml.{key}", (uint)Array.IndexOf(tokens, content.GetString()));
        if (config.RootElement.TryGetProperty("chat_template", out var template))
            file.Set("tokenizer.chat_template", template.GetString()!);
    }

    // Row i of half j of a head becomes row 2i + j.
    private static Tensor Paired(Tensor weights, int heads)
    {
        var (rows, columns) = (weights.shape[0], weights.shape[1]);
        return weights.reshape(heads, 2, rows / heads / 2, columns).transpose(1, 2).reshape(rows, columns);
    }
}
