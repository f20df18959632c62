using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>
/// The Llama family's forward pass as it is described (Llama arXiv 2302.13971; RoPE arXiv 2104.09864; grouped queries
/// arXiv 2305.13245; RMSNorm arXiv 1910.07467; SwiGLU arXiv 2002.05202): fp32, one sequence, head by head, nothing
/// cached, nothing fused. It reads the config's JSON itself and shares no code with Koala.Lab.Targets.
/// </summary>
internal sealed class ReferenceModel(JsonObject config, IReadOnlyDictionary<string, Tensor> weights)
{
    private readonly int _layers = (int)config["num_hidden_layers"]!;
    private readonly int _heads = (int)config["num_attention_heads"]!;
    private readonly int _keyValueHeads = (int)(config["num_key_value_heads"] ?? config["num_attention_heads"]!);
    private readonly int _width =
        (int)(config["head_dim"] ?? (int)config["hidden_size"]! / (int)config["num_attention_heads"]!);
    private readonly double _eps = (double)config["rms_norm_eps"]!;

    /// <summary>The embedding, then each layer's output, the last one after the final norm; [T,D] each.</summary>
    public List<Tensor> States(IReadOnlyList<int> tokens)
    {
        var x = stack(tokens.Select(token => weights["model.embed_tokens.weight"][token]));
        List<Tensor> states = [x];
        for (var layer = 0; layer < _layers; layer++)
        {
            var at = $"model.layers.{layer}.";
            x = x + Attention(Norm(x, weights[at + "input_layernorm.weight"]), at + "self_attn.");
            x = x + FeedForward(Norm(x, weights[at + "post_attention_layernorm.weight"]), at + "mlp.");
            states.Add(x);
        }
        states[^1] = Norm(x, weights["model.norm.weight"]);
        return states;
    }

    /// <summary>The logits of the last states, [T,V].</summary>
    public Tensor Logits(Tensor hidden) =>
        matmul(hidden,
            weights[(bool)config["tie_word_embeddings"]! ? "model.embed_tokens.weight" : "lm_head.weight"].t());

    private Tensor Norm(Tensor x, Tensor weight) => x / (x * x).mean([-1], keepdim: true).add(_eps).sqrt() * weight;

    private Tensor FeedForward(Tensor x, string at)
    {
        var gate = Linear(x, at + "gate_proj");
        return Linear(gate * gate.sigmoid() * Linear(x, at + "up_proj"), at + "down_proj");
    }

    private Tensor Attention(Tensor x, string at)
    {
        var (queries, keys, values) = (Linear(x, at + "q_proj"), Linear(x, at + "k_proj"), Linear(x, at + "v_proj"));
        var answers = new List<Tensor>();
        for (var head = 0; head < _heads; head++)
        {
            var shared = head / (_heads / _keyValueHeads);
            var query = Rotated(HeadNorm(Head(queries, head), at + "q_norm"));
            var key = Rotated(HeadNorm(Head(keys, shared), at + "k_norm"));
            var scores = matmul(query, key.t()) / Math.Sqrt(_width);
            var rows = new List<Tensor>();
            // Token t attends to the tokens up to itself.
            for (var t = 0; t < x.shape[0]; t++)
                rows.Add(matmul(scores[t].narrow(0, 0, t + 1).softmax(0), Head(values, shared).narrow(0, 0, t + 1)));
            answers.Add(stack(rows));
        }
        return Linear(cat(answers, 1), at + "o_proj");
    }

    private Tensor Head(Tensor rows, int head) => rows.narrow(1, head * _width, _width);

    private Tensor HeadNorm(Tensor x, string name) =>
        weights.TryGetValue(name + ".weight", out var weight) ? Norm(x, weight) : x;

    private Tensor Linear(Tensor x, string name)
    {
        var product = matmul(x, weights[name + ".weight"].t());
        return weights.TryGetValue(name + ".bias", out var bias) ? product + bias : product;
    }

    // Pair i is (x[i], x[i + width/2]); at position t it turns by t times its frequency.
    private Tensor Rotated(Tensor x)
    {
        var (half, frequencies) = (_width / 2, Frequencies());
        var rows = new List<Tensor>();
        for (var t = 0; t < x.shape[0]; t++)
        {
            var angles = tensor(frequencies.Select(f => t * f).ToArray(), ScalarType.Float64);
            var (cos, sin) = (angles.cos().to(ScalarType.Float32), angles.sin().to(ScalarType.Float32));
            var (a, b) = (x[t].narrow(0, 0, half), x[t].narrow(0, half, half));
            rows.Add(cat([a * cos - b * sin, b * cos + a * sin], 0));
        }
        return stack(rows);
    }

    private double[] Frequencies()
    {
        var rope = (config["rope_parameters"] ?? config["rope_scaling"]) as JsonObject;
        var theta = (double)(rope?["rope_theta"] ?? config["rope_theta"] ?? 10_000.0);
        var plain = Enumerable.Range(0, _width / 2).Select(i => Math.Pow(theta, -2.0 * i / _width));
        return [.. ((string?)(rope?["rope_type"] ?? rope?["type"])) switch
        {
            "linear" => plain.Select(f => f / (double)rope!["factor"]!),
            "llama3" => plain.Select(f => Llama3(f, rope!)),
            _ => plain,
        }];
    }

    // The scaling that Meta published with Llama 3.1, by the number of turns that a pair makes within the original
    // context.
    private static double Llama3(double frequency, JsonObject rope)
    {
        var turns = frequency * (double)rope["original_max_position_embeddings"]! / (2 * Math.PI);
        var (low, high, factor) =
            ((double)rope["low_freq_factor"]!, (double)rope["high_freq_factor"]!, (double)rope["factor"]!);
        var kept = Math.Clamp((turns - low) / (high - low), 0, 1);
        return frequency * (kept + (1 - kept) / factor);
    }
}
