using System.Text.Json;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// Reads a <see cref="ModelConfig"/> in both spellings: rope_theta and rope_scaling or rope_parameters, torch_dtype or dtype.
/// </summary>
internal sealed class ModelConfigReader(JsonElement json, string where)
{
    private const int MostLayers = 1024;
    private const double DefaultRopeTheta = 10_000;
    private const string NotThisModel = "use another model; Koala does not compute this one";
    private const string Correct = "get the file again, or correct the value";

    // The model types of Hugging Face's transformers, and the architecture of each.
    private static readonly (string ModelType, string Architecture)[] s_families =
    [
        ("llama", "LlamaForCausalLM"), ("mistral", "MistralForCausalLM"), ("qwen2", "Qwen2ForCausalLM"),
        ("qwen3", "Qwen3ForCausalLM"),
    ];

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
        ["use_qk_norm", "qk_norm", "use_sinks", "attention_sinks", "attn_output_gate", "use_parallel_residual", "lm_head_bias"];

    private static readonly string[] s_ropeKeys =
        ["rope_type", "type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings",
            "partial_rotary_factor"];

    private readonly JsonSection _values = new(json, where);

    internal ModelConfig Read(JsonSection? generation)
    {
        var (modelType, architecture) = Family();
        RefuseOthers(architecture);
        var heads = _values.Size("num_attention_heads");
        var hidden = _values.Size("hidden_size");
        var vocabulary = _values.Size("vocab_size");
        var context = _values.Size("max_position_embeddings");
        var endIds = _values.Ids("eos_token_id", vocabulary).Concat(generation?.Ids("eos_token_id", vocabulary) ?? []);
        return new ModelConfig
        {
            Architecture = architecture,
            ModelType = modelType,
            HiddenSize = hidden,
            IntermediateSize = _values.Size("intermediate_size"),
            Layers = _values.Size("num_hidden_layers", MostLayers),
            Heads = heads,
            KeyValueHeads = KeyValueHeads(heads),
            HeadDim = HeadDim(architecture, hidden, heads),
            VocabularySize = vocabulary,
            RmsNormEps = Eps(),
            RopeTheta = RopeTheta(),
            RopeScaling = Scaling(),
            ContextLength = SlidingWindow(architecture) is { } window && window < context ? window : context,
            TieWordEmbeddings = _values.OptionalBoolean("tie_word_embeddings"),
            AttentionBias = architecture == "Qwen2ForCausalLM",
            QueryKeyNorm = architecture == "Qwen3ForCausalLM",
            Dtype = Dtype(),
            BeginOfSequenceId = _values.Ids("bos_token_id", vocabulary) is [var first, ..] ? first : null,
            EndOfSequenceIds = [.. endIds.Distinct().Order()],
        };
    }

    /// <summary>The rotary positions alone, for a draft head, whose config lacks other keys.</summary>
    internal (double Theta, RopeScaling? Scaling) Rope() => (RopeTheta(), Scaling());

    // Either key names the family; if both are there, they must agree.
    private (string ModelType, string Architecture) Family()
    {
        var known = string.Join(", ", s_families.Select(family => family.Architecture));
        var (architectures, modelType) = (_values.Texts("architectures"), _values.OptionalText("model_type"));
        if (architectures.Count == 0)
        {
            if (modelType is null)
                throw _values.Fault("architectures", "is missing or empty, and so is model_type", "get the file again");
            var byType = s_families.FirstOrDefault(family => family.ModelType == modelType);
            return byType.Architecture is not null
                ? byType
                : throw _values.Fault("model_type", $"is {MessageText.Text(modelType)}, but Koala computes {known}",
                    "use a model of one of these architectures");
        }
        // The first converted checkpoints spell it LLaMAForCausalLM.
        var named = s_families.FirstOrDefault(family =>
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
            throw _values.Fault(key, $"says that the weights are quantized ({MessageText.Text(method)})",
                "use the model's unquantized weights");
        }
        // Swish is another name of SiLU.
        if (_values.OptionalText("hidden_act") is { } activation and not ("silu" or "swish"))
            throw _values.Fault("hidden_act", $"is {MessageText.Text(activation)}, but Koala computes silu", NotThisModel);
        if (_values.OptionalPositive("partial_rotary_factor") is { } part and not 1)
            throw _values.Fault("partial_rotary_factor", $"is {part}, but Koala rotates whole heads", NotThisModel);
        // Qwen2 has query, key and value biases whatever its config says. In the other architectures attention_bias means an output
        // bias too.
        if (architecture != "Qwen2ForCausalLM" && _values.Boolean("attention_bias", false))
            throw _values.Fault("attention_bias", $"is true, but Koala computes {architecture} without biases", NotThisModel);
        if (_values.Boolean("mlp_bias", false))
            throw _values.Fault("mlp_bias", $"is true, but Koala computes {architecture} without biases", NotThisModel);
        foreach (var (key, neutral) in s_scales)
            if (_values.Find(key) is { } value && !IsNumber(value, neutral) && !IsNumber(value, 0))
                throw _values.Fault(key, $"is {MessageText.Text(value.GetRawText())}, but Koala computes {architecture} without it",
                    NotThisModel);
        foreach (var key in s_switches)
            if (_values.Find(key) is { ValueKind: not JsonValueKind.False } value)
                throw _values.Fault(key, $"is {MessageText.Text(value.GetRawText())}, but Koala computes {architecture} without it",
                    NotThisModel);
    }

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
        // The default of Qwen3 is 128 whatever the other sizes are; to assume it would hide a broken file.
        var given = architecture == "Qwen3ForCausalLM" ? _values.Size("head_dim") : _values.OptionalSize("head_dim");
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

    private double RopeTheta()
    {
        var outer = _values.OptionalPositive("rope_theta");
        var inner = _values.OptionalSection("rope_parameters")?.OptionalPositive("rope_theta");
        if (outer is not null && inner is not null && outer != inner)
            throw _values.Fault("rope_theta", $"is {outer}, but {inner} in rope_parameters", "remove the wrong one");
        return inner ?? outer ?? DefaultRopeTheta;
    }

    private RopeScaling? Scaling()
    {
        if (_values.Has("rope_parameters") && _values.Has("rope_scaling"))
            throw _values.Fault("rope_scaling", "is given together with rope_parameters, which is the newer spelling of it",
                "remove one of them");
        if ((_values.OptionalSection("rope_parameters") ?? _values.OptionalSection("rope_scaling")) is not { } rope) return null;
        var type = rope.OptionalText("rope_type");
        var oldType = rope.OptionalText("type");
        if (type is not null && oldType is not null && type != oldType)
            throw rope.Fault("rope_type", $"is {MessageText.Text(type)}, but type is {MessageText.Text(oldType)}",
                "remove the wrong one");
        if (rope.OptionalPositive("partial_rotary_factor") is { } part and not 1)
            throw rope.Fault("partial_rotary_factor", $"is {part}, but Koala rotates whole heads", NotThisModel);
        var known = type ?? oldType;
        if (known is "default" && rope.OptionalPositive("factor") is { } factor and not 1)
            throw rope.Fault("factor", $"is {factor}, but rope_type is default, which has no factor", "correct one of them");
        if (known is "default" or "linear" or "llama3")
            foreach (var property in rope.Json.EnumerateObject())
                if (!s_ropeKeys.Contains(property.Name) && rope.Has(property.Name))
                    throw rope.Fault(MessageText.Text(property.Name), $"is given, but Koala computes {known} without it", NotThisModel);
        return known switch
        {
            null when rope.Has("rope_theta") && !rope.Has("factor") => null,
            null => throw rope.Fault("rope_type", "is missing", "get the file again, or add the key"),
            "default" => null,
            "linear" => new RopeScaling("linear", rope.Positive("factor")),
            "llama3" => Llama3(rope),
            { } other => throw rope.Fault("rope_type",
                $"is {MessageText.Text(other)}, but Koala computes default, linear and llama3", NotThisModel),
        };
    }

    private static RopeScaling Llama3(JsonSection rope)
    {
        var (low, high) = (rope.Positive("low_freq_factor"), rope.Positive("high_freq_factor"));
        if (high <= low)
            throw rope.Fault("high_freq_factor", $"is {high}, but must be above low_freq_factor, {low}", Correct);
        return new RopeScaling("llama3", rope.Positive("factor"), low, high, rope.Size("original_max_position_embeddings"));
    }

    private int? SlidingWindow(string architecture)
    {
        // Mistral uses the window that its config gives; Qwen's config says in another key whether to use it; Llama has no window,
        // unless a list says that a layer has one.
        var inLayers = _values.Texts("layer_types");
        if (inLayers.FirstOrDefault(type => type is not ("full_attention" or "sliding_attention")) is { } other)
            throw _values.Fault("layer_types",
                $"names {MessageText.Text(other)}, but Koala computes full_attention and sliding_attention", NotThisModel);
        var used = architecture == "MistralForCausalLM" || inLayers.Contains("sliding_attention")
            || architecture != "LlamaForCausalLM" && _values.Boolean("use_sliding_window", false);
        return used ? _values.OptionalSize("sliding_window") : null;
    }

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
