using System.Text.Json;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// Reads a <see cref="ModelConfig"/>, in the spellings of several versions of transformers.
/// </summary>
internal sealed class ModelConfigReader(JsonElement json, string where)
{
    private const int MostLayers = 1024;
    private const string NotThisModel = "use another model; Koala does not compute this one";
    private const string Correct = "get the file again, or correct the value";

    private const string Silu = "silu", GeluTanh = "gelu_tanh";

    // What some models compute beside these architectures, with the values that change nothing. A config that has one of
    // these keys with another value describes a model that Koala would silently compute wrongly.
    private static readonly (string Key, double Neutral)[] s_scales =
    [
        ("attention_multiplier", 1), ("embedding_multiplier", 1), ("embedding_scale", 1), ("residual_multiplier", 1),
        ("residual_scale", 1), ("logit_scale", 1), ("logits_scaling", 1), ("lm_head_multiplier", 1), ("scale_emb", 1),
        ("attn_logit_softcapping", 0), ("final_logit_softcapping", 0), ("logit_softcapping", 0), ("clip_qkv", 0),
        ("num_local_experts", 0), ("num_experts", 0), ("n_routed_experts", 0), ("num_nextn_predict_layers", 0),
    ];

    private static readonly string[] s_switches =
        ["use_qk_norm", "qk_norm", "use_sinks", "attention_sinks", "attn_output_gate", "use_parallel_residual", "lm_head_bias",
            "use_bidirectional_attention"];

    private readonly JsonSection _values = new(json, where);

    internal ModelConfig Read(JsonSection? generation)
    {
        var (modelType, architecture) = Family();
        RefuseOthers(architecture);
        var heads = _values.Size("num_attention_heads");
        var hidden = _values.Size("hidden_size");
        var vocabulary = _values.Size("vocab_size");
        var context = _values.Size("max_position_embeddings");
        var layers = _values.Size("num_hidden_layers", MostLayers);
        var width = HeadDim(architecture, hidden, heads);
        var rope = new RopeReader(_values, width, context, mayBePartial: architecture == "Phi3ForCausalLM").Read();
        var (window, windowLayers) = SlidingWindow(architecture, layers);
        var isGemma = architecture.StartsWith("Gemma", StringComparison.Ordinal);
        var isGemma3 = architecture == "Gemma3ForCausalLM";
        var endIds = _values.Ids("eos_token_id", vocabulary).Concat(generation?.Ids("eos_token_id", vocabulary) ?? []);
        return new ModelConfig
        {
            Architecture = architecture,
            ModelType = modelType,
            HiddenSize = hidden,
            IntermediateSize = _values.Size("intermediate_size"),
            Layers = layers,
            Heads = heads,
            KeyValueHeads = KeyValueHeads(heads),
            HeadDim = width,
            VocabularySize = vocabulary,
            RmsNormEps = Eps(),
            RopeTheta = rope.Theta,
            RopeScaling = rope.Scaling,
            RotaryDim = rope.RotaryDim,
            RotaryFactor = rope.RotaryDim is null ? 1 : rope.AttentionFactor,
            ContextLength = rope.Context,
            SlidingWindow = windowLayers.Count == 0 ? null : window,
            WindowLayers = windowLayers.Count > 0 ? windowLayers : [],
            LocalRopeTheta = isGemma3 ? rope.LocalTheta : null,
            UnrotatedLayers = architecture == "SmolLM3ForCausalLM" ? UnrotatedLayers(layers) : [],
            Activation = Activation(isGemma),
            EmbeddingScale = isGemma ? Math.Sqrt(hidden) : 1,
            NormsAddOne = isGemma,
            OutputNorms = isGemma && architecture != "GemmaForCausalLM",
            AttentionScale = AttentionScale(architecture, width, rope.RotaryDim is null ? rope.AttentionFactor : 1),
            AttentionSoftCap = SoftCap(architecture, "attn_logit_softcapping"),
            LogitSoftCap = SoftCap(architecture, "final_logit_softcapping"),
            FusedProjections = architecture == "Phi3ForCausalLM",
            TieWordEmbeddings = _values.OptionalBoolean("tie_word_embeddings"),
            AttentionBias = architecture == "Qwen2ForCausalLM",
            QueryKeyNorm = architecture == "Qwen3ForCausalLM" || isGemma3,
            Dtype = Dtype(),
            BeginOfSequenceId = _values.Ids("bos_token_id", vocabulary) is [var first, ..] ? first : null,
            EndOfSequenceIds = [.. endIds.Distinct().Order()],
        };
    }

    // Either key names the family; if both are there, they must agree.
    private (string ModelType, string Architecture) Family()
    {
        var known = string.Join(", ", ModelFamilies.All.Select(family => family.Architecture));
        var (architectures, modelType) = (_values.Texts("architectures"), _values.OptionalText("model_type"));
        if (architectures.Count == 0)
        {
            if (modelType is null)
                throw _values.Fault("architectures", "is missing or empty, and so is model_type", "get the file again");
            var byType = ModelFamilies.All.FirstOrDefault(family => family.ModelType == modelType);
            return byType.Architecture is not null
                ? byType
                : throw _values.Fault("model_type", $"is {MessageText.Text(modelType)}, but Koala computes {known}",
                    "use a model of one of these architectures");
        }
        // The first converted checkpoints spell it LLaMAForCausalLM.
        var named = ModelFamilies.All.FirstOrDefault(family =>
            family.Architecture.Equals(architectures[0], StringComparison.OrdinalIgnoreCase));
        if (named.Architecture is null)
            throw _values.Fault("architectures", $"is {MessageText.Text(architectures[0])}, but Koala computes {known}",
                "use a model of one of these architectures");
        return modelType is null || modelType == named.ModelType
            ? named
            : throw _values.Fault("model_type", $"is {MessageText.Text(modelType)}, but architectures is {named.Architecture}",
                "get the file again, or remove the wrong one");
    }

    private void RefuseOthers(string architecture)
    {
        foreach (var key in (ReadOnlySpan<string>)["quantization_config", "compression_config"])
        {
            if (_values.OptionalSection(key) is not { } quantization) continue;
            var method = quantization.OptionalText("quant_method") ?? "no method named";
            if (IsFloat8(quantization, method)) continue;
            throw _values.Fault(key, $"says that the weights are quantized ({MessageText.Text(method)})",
                "use the model's unquantized weights, or those in fp8");
        }
        // Qwen2 has query, key and value biases whatever its config says. In the other architectures attention_bias means an output
        // bias too.
        if (architecture != "Qwen2ForCausalLM" && _values.Boolean("attention_bias", false))
            throw _values.Fault("attention_bias", $"is true, but Koala computes {architecture} without biases", NotThisModel);
        if (_values.Boolean("mlp_bias", false))
            throw _values.Fault("mlp_bias", $"is true, but Koala computes {architecture} without biases", NotThisModel);
        foreach (var (key, neutral) in s_scales)
            if (!HasSoftCaps(architecture, key) && _values.Find(key) is { } value && !IsNumber(value, neutral) && !IsNumber(value, 0))
                throw _values.Fault(key, $"is {MessageText.Text(value.GetRawText())}, but Koala computes {architecture} without it",
                    NotThisModel);
        foreach (var key in s_switches)
            if (_values.Find(key) is { ValueKind: not JsonValueKind.False } value)
                throw _values.Fault(key, $"is {MessageText.Text(value.GetRawText())}, but Koala computes {architecture} without it",
                    NotThisModel);
    }

    // fp8 weights with their scales, as DeepSeek's and Qwen's models have them, or as the compressed-tensors library writes them.
    private static bool IsFloat8(JsonSection quantization, string method) =>
        method == "fp8" && quantization.OptionalText("fmt") is null or "e4m3"
        || method == "compressed-tensors" && quantization.OptionalText("format") == "float-quantized";

    private static bool IsNumber(JsonElement value, double number) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var found) && found == number;

    private int KeyValueHeads(int heads)
    {
        var keyValueHeads = _values.OptionalSize("num_key_value_heads") ?? heads;
        return heads % keyValueHeads == 0
            ? keyValueHeads
            : throw _values.Fault("num_key_value_heads",
                $"is {keyValueHeads}, which does not divide the {heads} attention heads", Correct);
    }

    private int HeadDim(string architecture, int hidden, int heads)
    {
        // The default of Qwen3 is 128 and that of Gemma 256, whatever the other sizes are; to assume it would hide a broken file.
        var isNeeded = architecture == "Qwen3ForCausalLM" || architecture.StartsWith("Gemma", StringComparison.Ordinal);
        var given = isNeeded ? _values.Size("head_dim") : _values.OptionalSize("head_dim");
        if (given is null && hidden % heads != 0)
            throw _values.Fault("hidden_size",
                $"is {hidden}, which {heads} attention heads do not divide, and head_dim is not given",
                "get the file again, or add head_dim");
        var width = given ?? hidden / heads;
        if ((long)width * heads > ModelConfig.LargestSize)
            throw _values.Fault("head_dim",
                $"is {width}, which makes {heads} heads wider than {ModelConfig.LargestSize} together", Correct);
        return width % 2 == 0
            ? width
            : throw _values.Fault("head_dim", $"is {width}, but rotary positions need an even width", Correct);
    }

    private double Eps()
    {
        var eps = _values.Positive("rms_norm_eps");
        return eps < 1 ? eps : throw _values.Fault("rms_norm_eps", $"is {eps}, but a small number below 1 is expected", Correct);
    }

    // The window and the layers that have it: those that layer_types says, otherwise those of the family. Llama has no window, unless the
    // list says that a layer has one; Qwen's config says in another key whether to use it.
    private (int? Window, IReadOnlyList<int> Layers) SlidingWindow(string architecture, int layers)
    {
        var types = _values.Texts("layer_types");
        if (types.FirstOrDefault(type => type is not ("full_attention" or "sliding_attention")) is { } other)
            throw _values.Fault("layer_types",
                $"names {MessageText.Text(other)}, but Koala computes full_attention and sliding_attention", NotThisModel);
        if (types.Count > 0 && types.Count != layers)
            throw _values.Fault("layer_types", $"has {types.Count} entries, but the model has {layers} layers", Correct);
        var window = _values.OptionalSize("sliding_window");
        if (window is null && (types.Contains("sliding_attention") || architecture is "Gemma2ForCausalLM" or "Gemma3ForCausalLM"))
            throw _values.Fault("sliding_window", "is missing, but some layers have one", "get the file again, or add the key");
        Func<int, bool> has = architecture switch
        {
            _ when window is null => _ => false,
            _ when types.Count > 0 => layer => types[layer] == "sliding_attention",
            "MistralForCausalLM" or "Phi3ForCausalLM" => _ => true,
            "Gemma2ForCausalLM" => layer => layer % 2 == 0,
            "Gemma3ForCausalLM" => Pattern,
            "Qwen2ForCausalLM" or "Qwen3ForCausalLM" when _values.Boolean("use_sliding_window", false) =>
                layer => layer >= (_values.OptionalNumber("max_window_layers") ?? 0),
            _ => _ => false,
        };
        return (window, [.. Enumerable.Range(0, layers).Where(has)]);
    }

    // Of so many layers the last one attends to everything.
    private bool Pattern(int layer) =>
        (layer + 1) % (_values.OptionalSize("sliding_window_pattern") ?? _values.OptionalSize("_sliding_window_pattern") ?? 6) != 0;

    private IReadOnlyList<int> UnrotatedLayers(int layers)
    {
        if (!_values.Has("no_rope_layers"))
        {
            var interval = _values.OptionalSize("no_rope_layer_interval") ?? 4;
            return [.. Enumerable.Range(0, layers).Where(layer => (layer + 1) % interval == 0)];
        }
        int?[] rotated =
        [
            .. _values.Array("no_rope_layers").Select(item =>
                item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var one) && one is 0 or 1 ? one : (int?)null),
        ];
        return rotated.Length == layers && rotated.All(one => one is not null)
            ? [.. Enumerable.Range(0, layers).Where(layer => rotated[layer] == 0)]
            : throw _values.Fault("no_rope_layers", $"is no list of 1 (rotated) or 0 for each of the {layers} layers", Correct);
    }

    private string Activation(bool isGemma)
    {
        // Gemma's first configs say gelu and mean this one.
        var (key, given) = isGemma && _values.OptionalText("hidden_activation") is { } newer
            ? ("hidden_activation", newer)
            : ("hidden_act", _values.OptionalText("hidden_act"));
        // Swish is another name of SiLU.
        var (isKnown, name) = isGemma
            ? (given is null or "gelu" or "gelu_pytorch_tanh", GeluTanh)
            : (given is null or "silu" or "swish", Silu);
        return isKnown
            ? name
            : throw _values.Fault(key, $"is {MessageText.Text(given!)}, but Koala computes {name} in this architecture", NotThisModel);
    }

    private double? AttentionScale(string architecture, int width, double ropeFactor)
    {
        var standard = 1 / Math.Sqrt(width);
        var scale = architecture is "Gemma2ForCausalLM" or "Gemma3ForCausalLM"
            ? 1 / Math.Sqrt(_values.OptionalPositive("query_pre_attn_scalar") ?? 256)
            : standard;
        // The factor is on queries and on keys.
        scale *= ropeFactor * ropeFactor;
        return Math.Abs(scale - standard) < 1e-9 ? null : scale;
    }

    private static bool HasSoftCaps(string architecture, string key) =>
        architecture is "Gemma2ForCausalLM" or "Gemma3ForCausalLM" && key is "attn_logit_softcapping" or "final_logit_softcapping";

    private double? SoftCap(string architecture, string key) => HasSoftCaps(architecture, key) ? _values.OptionalPositive(key) : null;

    private ScalarType? Dtype()
    {
        var (dtype, oldDtype) = (_values.OptionalText("dtype"), _values.OptionalText("torch_dtype"));
        if (dtype is not null && oldDtype is not null && dtype != oldDtype)
            throw _values.Fault("dtype", $"is {MessageText.Text(dtype)}, but torch_dtype is {MessageText.Text(oldDtype)}",
                "remove the wrong one");
        return (dtype ?? oldDtype) switch
        {
            null => null,
            "float32" => ScalarType.Float32,
            "float16" => ScalarType.Float16,
            "bfloat16" => ScalarType.BFloat16,
            { } other => throw _values.Fault(dtype is null ? "torch_dtype" : "dtype",
                $"is {MessageText.Text(other)}, but float32, float16 or bfloat16 is expected", "correct the value"),
        };
    }
}
