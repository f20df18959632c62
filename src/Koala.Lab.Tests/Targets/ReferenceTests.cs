using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>
/// The target, compared with <see cref="ReferenceModel"/> on random weights, for each switch of the family.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class ReferenceTests : IDisposable
{
    private const int Hidden = 32, Inner = 64, Vocabulary = 4096, Tokens = 24;

    private readonly TemporaryFolder _folder = new();

    /// <summary>The name of a case and its changes to the config.</summary>
    public static TheoryData<string, string> Switches => new()
    {
        { "plain", "{}" },
        { "one key-value head", """{"num_key_value_heads":1}""" },
        { "no sharing of key-value heads", """{"num_key_value_heads":null}""" },
        { "one head", """{"num_attention_heads":1,"num_key_value_heads":1}""" },
        { "one layer", """{"num_hidden_layers":1}""" },
        { "heads narrower than the width", """{"head_dim":6}""" },
        { "heads wider than the width", """{"head_dim":16}""" },
        { "tied", """{"tie_word_embeddings":true}""" },
        { "another eps", """{"rms_norm_eps":0.05}""" },
        { "an eps of many digits", """{"rms_norm_eps":1.00000001335e-10}""" },
        { "another theta", """{"rope_theta":500000.0}""" },
        { "another theta, new spelling", """{"rope_parameters":{"rope_type":"default","rope_theta":37.5}}""" },
        { "linear scaling", """{"rope_scaling":{"type":"linear","factor":4.0}}""" },
        { "llama3 scaling",
            """{"rope_theta":100.0,"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0""" +
            ""","high_freq_factor":4.0,"original_max_position_embeddings":64}}""" },
        { "Mistral", """{"architectures":["MistralForCausalLM"],"model_type":"mistral"}""" },
        { "Qwen2: biases", """{"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2"}""" },
        { "Qwen3: norms of queries and keys",
            """{"architectures":["Qwen3ForCausalLM"],"model_type":"qwen3","head_dim":12,"tie_word_embeddings":true}""" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Switches))]
    public void States_and_logits_equal_the_plain_forward_pass(string name, string change)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var config = Config(change);
        var weights = Weights(config);
        using var target = Write(config, weights);
        var reference = new ReferenceModel(config, weights);
        var tokens = Ids();

        var (expected, states) = (reference.States(tokens), target.States(tokens));
        Assert.Equal(expected.Count, states.Count);
        for (var i = 0; i < states.Count; i++)
            Tolerance.AssertClose(expected[i], states[i], Roundings(target), what: $"{name}, state {i}");
        var logits = reference.Logits(expected[^1]);
        Tolerance.AssertClose(logits, target.Logits(states[^1]), Roundings(target) + Hidden, what: $"{name}, logits");
    }

    [Fact]
    public void Appending_in_pieces_equals_the_plain_forward_pass()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var config = Config("{}");
        var weights = Weights(config);
        using var target = Write(config, weights);
        using var cache = target.NewCache(1, 128);
        var tokens = Ids();
        var hidden = cat([target.Append(cache, tokens.AsSpan(0, 7)), target.Append(cache, tokens.AsSpan(7, 1)),
            target.Append(cache, tokens.AsSpan(8))],
            0);
        Tolerance.AssertClose(new ReferenceModel(config, weights).States(tokens)[^1], hidden, Roundings(target));
    }

    [Fact]
    public void A_switch_changes_what_the_reference_gives()
    {
        using var scope = NewDisposeScope();
        var plain = Config("{}");
        var weights = Weights(plain);
        using var target = Write(plain, weights);
        var expected = new ReferenceModel(plain, weights).States(Ids())[^1];
        foreach (var change in (string[])["""{"rope_theta":500000.0}""",
            """{"rope_scaling":{"type":"linear","factor":4.0}}""", """{"rms_norm_eps":0.05}""",
            """{"architectures":["Qwen2ForCausalLM"]}""", """{"architectures":["Qwen3ForCausalLM"]}"""])
        {
            var config = Config(change);
            var changed = new ReferenceModel(config, Weights(config)).States(Ids())[^1];
            Assert.InRange(Tolerance.Excess(expected, changed, Roundings(target)), 100, double.MaxValue);
        }
    }

    private static long Roundings(Target target) =>
        Tolerance.Roundings(target.Config, target.Config.Layers, Tokens, target.Config.HiddenSize);

    private static int[] Ids()
    {
        var random = new Random(5);
        return [.. Enumerable.Range(0, Tokens).Select(_ => random.Next(Vocabulary))];
    }

    /// <summary>A small model's config with some of its entries changed.</summary>
    internal static JsonObject Config(string change)
    {
        var config = JsonNode.Parse($$"""
            {"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":{{Hidden}},
             "intermediate_size":{{Inner}},"num_hidden_layers":2,"num_attention_heads":4,
             "num_key_value_heads":2,"vocab_size":{{Vocabulary}},"rms_norm_eps":1e-05,"max_position_embeddings":128,
             "tie_word_embeddings":false,"hidden_act":"silu","eos_token_id":2}
            """)!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(change)!.AsObject()) config[key] = value?.DeepClone();
        return config;
    }

    /// <summary>
    /// Random weights for a config, large enough for every part to have an effect: norms around 1, attention scores
    /// that differ.
    /// </summary>
    internal static Dictionary<string, Tensor> Weights(JsonObject config)
    {
        var generator = new Generator(11);
        Tensor Random(double scale, params long[] shape) => randn(shape, generator: generator) * scale;
        Tensor Norm(long width) => ones(width) + Random(0.3, width);

        var heads = (int)config["num_attention_heads"]!;
        var width = (int)(config["head_dim"] ?? Hidden / heads);
        var (q, kv) = (heads * width, (int)(config["num_key_value_heads"] ?? heads) * width);
        var architecture = (string)config["architectures"]![0]!;
        var weights = new Dictionary<string, Tensor> { ["model.embed_tokens.weight"] = Random(1, Vocabulary, Hidden) };
        for (var i = 0; i < (int)config["num_hidden_layers"]!; i++)
        {
            var at = $"model.layers.{i}.";
            weights[at + "input_layernorm.weight"] = Norm(Hidden);
            weights[at + "post_attention_layernorm.weight"] = Norm(Hidden);
            weights[at + "self_attn.q_proj.weight"] = Random(0.3, q, Hidden);
            weights[at + "self_attn.k_proj.weight"] = Random(0.3, kv, Hidden);
            weights[at + "self_attn.v_proj.weight"] = Random(0.3, kv, Hidden);
            weights[at + "self_attn.o_proj.weight"] = Random(0.3, Hidden, q);
            weights[at + "mlp.gate_proj.weight"] = Random(0.3, Inner, Hidden);
            weights[at + "mlp.up_proj.weight"] = Random(0.3, Inner, Hidden);
            weights[at + "mlp.down_proj.weight"] = Random(0.3, Hidden, Inner);
        }
        weights["model.norm.weight"] = Norm(Hidden);
        if (!(bool)config["tie_word_embeddings"]!) weights["lm_head.weight"] = Random(0.3, Vocabulary, Hidden);
        // These come last, so that the other weights are the same in every architecture.
        for (var i = 0; i < (int)config["num_hidden_layers"]!; i++)
        {
            var at = $"model.layers.{i}.self_attn.";
            if (architecture == "Qwen2ForCausalLM")
                foreach (var (letter, size) in new[] { ('q', q), ('k', kv), ('v', kv) })
                    weights[$"{at}{letter}_proj.bias"] = Random(1, size);
            if (architecture == "Qwen3ForCausalLM")
                foreach (var letter in "qk") weights[$"{at}{letter}_norm.weight"] = Norm(width);
        }
        return weights;
    }

    private Target Write(JsonObject config, IReadOnlyDictionary<string, Tensor> weights) => Write(_folder, config, weights);

    /// <summary>Writes a model with koala-mini's tokenizer into a folder and loads it.</summary>
    internal static Target Write(TemporaryFolder folder, JsonObject config, IReadOnlyDictionary<string, Tensor> weights)
    {
        File.WriteAllText(folder.At("config.json"), config.ToJsonString());
        SafetensorsWriter.Write(folder.At("model.safetensors"), [.. weights]);
        foreach (var file in (string[])["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
            File.Copy(Path.Combine(ShippedModels.Folder("koala-mini"), file), folder.At(file));
        return Target.Load(folder.Path);
    }
}
