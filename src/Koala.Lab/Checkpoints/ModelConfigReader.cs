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
    private static readonly string[] s_architectures =
        ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"];

    private readonly JsonSection _values = new(json, where);

    internal ModelConfig Read(JsonSection? generation)
    {
        var architecture = Architecture();
        RefuseOthers(architecture);
        var heads = _values.Size("num_attention_heads");
        var hidden = _values.Size("hidden_size");
        var vocabulary = _values.Size("vocab_size");
        var context = _values.Size("max_position_embeddings");
        var endIds = _values.Ids("eos_token_id", vocabulary).Concat(generation?.Ids("eos_token_id", vocabulary) ?? []);
        return new ModelConfig
        {
            Architecture = architecture,
            ModelType = _values.Text("model_type"),
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
            TieWordEmbeddings = _values.Boolean("tie_word_embeddings", false),
            AttentionBias = architecture == "Qwen2ForCausalLM",
            QueryKeyNorm = architecture == "Qwen3ForCausalLM",
            Dtype = Dtype(),
            BeginOfSequenceId = _values.Ids("bos_token_id", vocabulary) is [var first, ..] ? first : null,
            EndOfSequenceIds = [.. endIds.Distinct().Order()],
        };
    }

    private string Architecture()
    {
        var named = _values.Texts("architectures");
        if (named.Count == 0) throw _values.Fault("architectures", "is missing or empty", "get the file again");
        return s_architectures.Contains(named[0])
            ? named[0]
            : throw _values.Fault("architectures",
                $"is {MessageText.Text(named[0])}, but Koala computes {string.Join(", ", s_architectures)}",
                "use a model of one of these architectures");
    }

    private void RefuseOthers(string architecture)
    {
        if (_values.OptionalSection("quantization_config") is { } quantization)
        {
            var method = quantization.OptionalText("quant_method") ?? "no method named";
            throw _values.Fault("quantization_config", $"says that the weights are quantized ({MessageText.Text(method)})",
                "use the model's unquantized weights");
        }
        if (_values.OptionalText("hidden_act") is { } activation and not "silu")
            throw _values.Fault("hidden_act", $"is {MessageText.Text(activation)}, but Koala computes silu", NotThisModel);
        if (_values.OptionalPositive("partial_rotary_factor") is { } part and not 1)
            throw _values.Fault("partial_rotary_factor", $"is {part}, but Koala rotates whole heads", NotThisModel);
        // Qwen2 has query, key and value biases whatever its config says. In the other architectures attention_bias means an output
        // bias too.
        if (architecture != "Qwen2ForCausalLM" && _values.Boolean("attention_bias", false))
            throw _values.Fault("attention_bias", $"is true, but Koala computes {architecture} without biases", NotThisModel);
        if (_values.Boolean("mlp_bias", false))
            throw _values.Fault("mlp_bias", $"is true, but Koala computes {architecture} without biases", NotThisModel);
    }

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
        return (type ?? oldType) switch
        {
            null when rope.Has("rope_theta") => null,
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
        // Mistral uses the window that its config gives; Qwen's config says in another key whether to use it; Llama has no window.
        var used = architecture switch
        {
            "MistralForCausalLM" => true,
            "LlamaForCausalLM" => false,
            _ => _values.Boolean("use_sliding_window", false),
        };
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
