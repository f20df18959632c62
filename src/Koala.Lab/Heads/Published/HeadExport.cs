using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Published;

/// <summary>Writes heads in the formats of other projects. What a format cannot hold is refused before anything is written.</summary>
/// <remarks>
/// The formats are those of vllm-project/vllm (models/medusa.py, models/llama_eagle3.py), vllm-project/speculators (models/eagle3), SGLang
/// (models/llama_eagle3.py), FasterDecoding/Medusa and SafeAILab/EAGLE (model/cnets.py).
/// </remarks>
public static class HeadExport
{
    private const string WeightsFile = "model.safetensors";

    /// <summary>Writes the folder of a head: config.json and its weights.</summary>
    /// <param name="head">The head.</param>
    /// <param name="target">Its target. Its LM head is written where a format wants one and the head shares it.</param>
    /// <param name="format">The format.</param>
    /// <param name="folder">The folder. It is created if it does not exist.</param>
    /// <exception cref="KoalaException">The format cannot hold the head, or the folder cannot be written.</exception>
    public static void Write(DraftHead head, Target target, ExportFormat format, string folder)
    {
        KoalaException.ThrowIfNull(head);
        KoalaException.ThrowIfNull(target);
        KoalaException.ThrowIfNull(folder);
        Check(head, target, format);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (tensors, config, file) = (head, format) switch
        {
            (MedusaHead medusa, ExportFormat.VllmMedusa) => VllmMedusa(medusa, target),
            (MedusaHead medusa, _) => Medusa(medusa, target),
            (EagleHead eagle, ExportFormat.Eagle) => Eagle(eagle, target),
            (EagleHead eagle, _) => Eagle3(eagle, target, format),
            _ => throw new InvalidOperationException("The kind was checked."),
        };
        // A head that was trained in bf16, or rounded to it, stays as small as it was.
        bool IsBFloat16(Tensor x) => !x.is_floating_point() || x.to(ScalarType.BFloat16).to(x.dtype).equal(x).all().item<bool>();
        var dtype = tensors.All(t => IsBFloat16(t.Value)) ? ScalarType.BFloat16 : ScalarType.Float32;
        config["torch_dtype"] = dtype == ScalarType.BFloat16 ? "bfloat16" : "float32";
        StateDict rounded =
            [.. tensors.Select(t => KeyValuePair.Create(t.Key, t.Value.is_floating_point() ? t.Value.to(dtype) : t.Value))];
        SafetensorsWriter.Write(Path.Combine(folder, file), rounded, new Dictionary<string, string> { ["format"] = "pt" });
        AtomicFile.WriteText(Path.Combine(folder, FolderConfig.FileName), config.ToJsonString(JsonFormat.Document) + "\n");
    }

    private static void Check(DraftHead head, Target target, ExportFormat format)
    {
        var isMedusa = format is ExportFormat.Medusa or ExportFormat.VllmMedusa;
        KoalaException Cannot(string why, string fix) => KoalaException.ForOption(nameof(format), $"is {NameOf(format)}, {why}", fix);
        if (isMedusa != head is MedusaHead || head is not (MedusaHead or EagleHead))
            throw Cannot($"but the head is of the kind {head.Options.Kind}",
                head is MedusaHead ? "set it to medusa or vllm-medusa" : "set it to speculators, vllm-eagle3, sglang-eagle3 or eagle");
        if (head.Options is MedusaOptions { MarkovRank: > 0 })
            throw Cannot("which has no place for a Markov bias, but the head has one", "train the head without it");
        if (head.HasConfidences)
            throw Cannot("which has no place for a confidence output, but the head has one", "train the head without it");
        if (head.Options is not EagleOptions options) return;
        if (options.Window is not null)
            throw Cannot("which has no place for a window of attention, but the head has one", "train the head without it");
        if (options.LayersFor(target.Config).RopeScaling is { Divisors: not null })
            throw Cannot("which has no place for the rotary divisors of a GGUF file", "export with the target's Hugging Face folder");
        if (options.LayersFor(target.Config).RopeScaling is { Type: "yarn" })
            throw Cannot("whose readers scale attention with yarn, which a head of Koala's does not",
                "train the head on a target without yarn");
        if (format == ExportFormat.Eagle)
        {
            if (options.IsEagle3 || options.FusedFeatures)
                throw Cannot("whose features are the hidden states after the final norm, but the head fuses those of several layers",
                    "set it to speculators");
            if (options.DraftVocabulary > 0)
                throw Cannot($"which has no draft vocabulary, but the head predicts over {options.DraftVocabulary} tokens",
                    "train the head without a draft vocabulary, or with fused features for the EAGLE-3 formats");
            if (options.LayersFor(target.Config).QueryKeyNorm)
                throw Cannot("whose layers do not norm queries and keys, but those of this head do, as its target's",
                    "train the head with fused features for the EAGLE-3 formats");
            return;
        }
        if (!options.IsEagle3)
            throw Cannot("whose architecture is EAGLE-3's, but the head's is EAGLE's",
                options.FusedFeatures
                    ? "train the head again: heads with fused features now have EAGLE-3's"
                    : "set it to eagle, or train the head with fused features");
        if (format == ExportFormat.SglangEagle3 && options.Layers > 1)
            throw Cannot($"which has one layer, but the head has K = {options.Layers}", "set it to speculators, which vLLM serves");
        if (format == ExportFormat.SglangEagle3 && options.NormBeforeFc)
            throw Cannot("which does not norm the joined states before it fuses them, but the head does", "set it to speculators");
        if (head.FeatureLayers[^1] >= target.Config.Layers - 1)
            throw Cannot("which fuses states that enter a layer, but the head takes the output of the target's last layer",
                "train the head again: heads with fused features now take other layers");
    }

    private static string NameOf(ExportFormat format) => format switch
    {
        ExportFormat.VllmEagle3 => "vllm-eagle3",
        ExportFormat.VllmMedusa => "vllm-medusa",
        ExportFormat.SglangEagle3 => "sglang-eagle3",
        _ => format.ToString().ToLowerInvariant(),
    };

    private static (StateDict, JsonObject, string) Medusa(MedusaHead head, Target target)
    {
        var options = (MedusaOptions)head.Options;
        List<KeyValuePair<string, Tensor>> tensors = [.. head.ToStateDict()];
        // This format has no shared LM head.
        if (!options.OwnLmHeads)
            for (var h = 0; h < options.Heads; h++) tensors.Add(new($"{h}.{options.Layers}.weight", target.LmHead));
        var config = new JsonObject
        {
            ["medusa_num_heads"] = options.Heads,
            ["medusa_num_layers"] = options.Layers,
            ["base_model_name_or_path"] = target.Name,
            ["version"] = "2",
        };
        return ([.. tensors], config, "medusa_lm_head.safetensors");
    }

    private static (StateDict, JsonObject, string) VllmMedusa(MedusaHead head, Target target)
    {
        var options = (MedusaOptions)head.Options;
        string Renamed(string name) => name.Split('.') is [var h, var k, "linear", var part]
            ? $"blocks.{h}.layers.{k}.{part}"
            : $"lm_heads.{name.Split('.')[0]}.weight";
        List<KeyValuePair<string, Tensor>> tensors = [.. head.ToStateDict().Select(t => KeyValuePair.Create(Renamed(t.Key), t.Value))];
        if (!options.OwnLmHeads) tensors.Add(new("lm_head.weight", target.LmHead));
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray("MedusaModel"),
            ["model_type"] = "medusa",
            ["hidden_size"] = target.Config.HiddenSize,
            ["vocab_size"] = target.Config.VocabularySize,
            ["truncated_vocab_size"] = target.Config.VocabularySize,
            ["num_heads"] = options.Heads,
            ["num_hidden_layers"] = options.Layers,
            ["max_paths"] = 64,
            ["topk"] = 10,
            ["original_lm_head"] = !options.OwnLmHeads,
            // Without it vLLM leaves the biases out and says nothing.
            ["medusa_fc_bias"] = true,
        };
        return ([.. tensors], config, WeightsFile);
    }

    private static (StateDict, JsonObject, string) Eagle(EagleHead head, Target target)
    {
        var options = (EagleOptions)head.Options;
        var config = LayerConfig(options, target);
        // Published heads call themselves a Llama of K layers; the bias is that of their linear layer.
        config["architectures"] = new JsonArray("LlamaForCausalLM");
        config["bias"] = options.Bias;
        config["qkv_bias"] = options.LayersFor(target.Config).AttentionBias;
        return (head.ToStateDict(), config, WeightsFile);
    }

    private static (StateDict, JsonObject, string) Eagle3(EagleHead head, Target target, ExportFormat format)
    {
        var options = (EagleOptions)head.Options;
        List<KeyValuePair<string, Tensor>> tensors = [.. head.ToStateDict().Where(t => t.Key != EagleStateDict.FusionWeights)];
        // The weights of the fused states become part of the layer that fuses them.
        if (options.FusionWeights) tensors[tensors.FindIndex(t => t.Key == "fc.weight")] = new("fc.weight", head.Fusion!);
        if (!options.OwnLmHead) tensors.Add(new("lm_head.weight", head.SharedLmHead(target)));
        if (format == ExportFormat.SglangEagle3)
        {
            string Renamed(string name) => name.Replace("layers.0.", "midlayer.", StringComparison.Ordinal);
            tensors = [.. tensors.Select(t => KeyValuePair.Create(Renamed(t.Key), t.Value))];
        }
        var vocabulary = options.DraftVocabulary > 0 ? options.DraftVocabulary : target.Config.VocabularySize;
        var layers = LayerConfig(options, target);
        var config = format == ExportFormat.Speculators ? new JsonObject { ["transformer_layer_config"] = layers } : layers;
        config["architectures"] = new JsonArray(format switch
        {
            ExportFormat.Speculators => "Eagle3DraftModel",
            ExportFormat.SglangEagle3 => "LlamaForCausalLMEagle3",
            _ => "Eagle3LlamaForCausalLM",
        });
        config["draft_vocab_size"] = vocabulary;
        // Its default differs between projects, so it is always written.
        config["norm_before_residual"] = options.NormBeforeResidual;
        config["norm_before_fc"] = options.NormBeforeFc;
        config["fc_norm"] = options.FeatureNorms;
        config["norm_output"] = options.NormOutput;
        config["target_hidden_size"] = target.Config.HiddenSize;
        // Layers are counted by the states that enter them: the output of layer i-1 enters layer i.
        JsonArray Ids() => [.. head.FeatureLayers.Select(layer => JsonValue.Create(layer + 1))];
        config["eagle_aux_hidden_state_layer_ids"] = Ids();
        if (format != ExportFormat.Speculators)
        {
            config["eagle_config"] = new JsonObject { ["use_aux_hidden_state"] = true, ["eagle_aux_hidden_state_layer_ids"] = Ids() };
            return ([.. tensors], config, WeightsFile);
        }
        config["speculators_model_type"] = "eagle3";
        config["speculators_version"] = "0.3.0";
        config["embed_requires_grad"] = false;
        config["speculators_config"] = new JsonObject
        {
            ["algorithm"] = "eagle3",
            ["default_proposal_method"] = "greedy",
            ["proposal_methods"] = new JsonArray(new JsonObject
            {
                ["proposal_type"] = "greedy",
                ["speculative_tokens"] = 3,
                ["verifier_accept_k"] = 1,
                ["accept_tolerance"] = 0.0,
            }),
            ["verifier"] = new JsonObject
            {
                ["name_or_path"] = target.Name,
                ["architectures"] = new JsonArray(target.Config.Architecture),
            },
        };
        return ([.. tensors], config, WeightsFile);
    }

    // The config of the head's decoder layers in Hugging Face's keys.
    private static JsonObject LayerConfig(EagleOptions options, Target target)
    {
        var layers = options.LayersFor(target.Config);
        var config = new JsonObject
        {
            ["model_type"] = "llama",
            ["hidden_act"] = "silu",
            ["hidden_size"] = layers.HiddenSize,
            ["intermediate_size"] = layers.IntermediateSize,
            ["num_hidden_layers"] = options.Layers,
            ["num_attention_heads"] = layers.Heads,
            ["num_key_value_heads"] = layers.KeyValueHeads,
            ["head_dim"] = layers.HeadDim,
            ["vocab_size"] = layers.VocabularySize,
            ["rms_norm_eps"] = layers.RmsNormEps,
            ["rope_theta"] = layers.RopeTheta,
            ["max_position_embeddings"] = layers.ContextLength,
            ["attention_bias"] = layers.AttentionBias,
            ["mlp_bias"] = false,
            ["tie_word_embeddings"] = false,
        };
        // What stretches positions in another way was refused.
        if (layers.RopeScaling is { Divisors: null } scaling)
        {
            config["rope_scaling"] = scaling.Type == "linear"
                ? new JsonObject { ["rope_type"] = "linear", ["factor"] = scaling.Factor }
                : new JsonObject
                {
                    ["rope_type"] = scaling.Type,
                    ["factor"] = scaling.Factor,
                    ["low_freq_factor"] = scaling.LowFrequencyFactor,
                    ["high_freq_factor"] = scaling.HighFrequencyFactor,
                    ["original_max_position_embeddings"] = scaling.OriginalContext,
                };
        }
        return config;
    }
}
