namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>Reads a <see cref="ModelConfig"/> from a GGUF file's metadata and the list of its tensors.</summary>
internal sealed class GgufConfigReader(GgufFile file)
{
    private const string Architecture = "general.architecture";
    private const string Tokens = "tokenizer.ggml.tokens";
    private const int MostLayers = 1024;
    private const double DefaultRopeBase = 10_000;
    private const string NotThisModel = "use another model; Koala does not compute this one";
    private const string Correct = "get the file again, or convert the model again";

    // What models of other architectures compute beside llama. A value of 1 changes nothing.
    private static readonly string[] s_scales =
    [
        "llama.logit_scale", "llama.residual_scale", "llama.embedding_scale", "llama.attention.scale", "llama.attention.clamp_kqv",
        "llama.attn_logit_softcapping", "llama.final_logit_softcapping",
    ];

    private readonly GgufMetadata _values = file.Metadata;

    internal ModelConfig Read()
    {
        RefuseOthers();
        var heads = _values.Size("llama.attention.head_count");
        var width = HeadDim(_values.Size("llama.embedding_length"), heads);
        var vocabulary = Vocabulary();
        return new ModelConfig
        {
            Architecture = "LlamaForCausalLM",
            ModelType = "llama",
            HiddenSize = _values.Size("llama.embedding_length"),
            IntermediateSize = _values.Size("llama.feed_forward_length"),
            Layers = _values.Size("llama.block_count", MostLayers),
            Heads = heads,
            KeyValueHeads = KeyValueHeads(heads),
            HeadDim = width,
            VocabularySize = vocabulary,
            RmsNormEps = Eps(),
            RopeTheta = _values.OptionalPositive("llama.rope.freq_base") ?? DefaultRopeBase,
            RopeScaling = Scaling(width),
            ContextLength = _values.Size("llama.context_length"),
            TieWordEmbeddings = !file.Tensors.ContainsKey("lm_head.weight"),
            AttentionBias = false,
            QueryKeyNorm = false,
            BeginOfSequenceId = _values.OptionalId("tokenizer.ggml.bos_token_id", vocabulary),
            EndOfSequenceIds = EndIds(vocabulary),
        };
    }

    private void RefuseOthers()
    {
        if (_values.Text(Architecture) is var architecture && architecture != "llama")
            throw _values.Fault(Architecture, $"is {MessageText.Text(architecture)}, but Koala computes llama",
                "use a model of the llama architecture, or the same model as a folder in safetensors");
        if (_values.OptionalSize("split.count") is { } files and > 1)
            throw _values.Fault("split.count", $"is {files}: the model is split into that many files",
                "merge them with llama-gguf-split --merge");
        if (_values.Has("llama.expert_count"))
            throw _values.Fault("llama.expert_count", "is given, but Koala computes one feed-forward part per layer", NotThisModel);
        foreach (var key in s_scales)
            if (_values.OptionalPositive(key) is { } scale and not 1)
                throw _values.Fault(key, $"is {scale}, but Koala computes llama without it", NotThisModel);
    }

    private int HeadDim(int hidden, int heads)
    {
        const string key = "llama.attention.key_length";
        var given = _values.OptionalSize(key);
        if (given is null && hidden % heads != 0)
            throw _values.Fault("llama.embedding_length",
                $"is {hidden}, which {heads} attention heads do not divide, and {key} is not given", Correct);
        var width = given ?? hidden / heads;
        if (width % 2 != 0) throw _values.Fault(key, $"is {width}, but rotary positions need an even width", Correct);
        if ((long)width * heads > ModelConfig.LargestSize)
            throw _values.Fault(key, $"is {width}, which makes {heads} heads wider than {ModelConfig.LargestSize} together", Correct);
        foreach (var other in (ReadOnlySpan<string>)["llama.attention.value_length", "llama.rope.dimension_count"])
            if (_values.OptionalSize(other) is { } size && size != width)
                throw _values.Fault(other, $"is {size}, but heads are {width} wide and Koala rotates whole heads", NotThisModel);
        return width;
    }

    private int KeyValueHeads(int heads)
    {
        const string key = "llama.attention.head_count_kv";
        var keyValueHeads = _values.OptionalSize(key) ?? heads;
        return heads % keyValueHeads == 0
            ? keyValueHeads
            : throw _values.Fault(key, $"is {keyValueHeads}, which does not divide the {heads} attention heads", Correct);
    }

    private int Vocabulary()
    {
        var tokens = _values.OptionalCount(Tokens);
        if (_values.OptionalSize("llama.vocab_size") is not { } size)
            return tokens is >= 1 and <= ModelConfig.LargestSize
                ? (int)tokens
                : throw _values.Fault(Tokens, $"lists {tokens ?? 0} tokens, but 1 to {ModelConfig.LargestSize} are expected", Correct);
        return tokens is null || tokens == size
            ? size
            : throw _values.Fault(Tokens, $"lists {tokens} tokens, but llama.vocab_size is {size}", Correct);
    }

    private double Eps()
    {
        const string key = "llama.attention.layer_norm_rms_epsilon";
        var eps = _values.Positive(key);
        return eps < 1 ? eps : throw _values.Fault(key, $"is {eps}, but a small number below 1 is expected", Correct);
    }

    private RopeScaling? Scaling(int headDim)
    {
        const string key = "llama.rope.scaling.type";
        // For linear scaling, older files give only a factor, and the oldest files give it under another name.
        var factor = _values.OptionalPositive("llama.rope.scaling.factor") ?? _values.OptionalPositive("llama.rope.scale_linear");
        var linear = (_values.OptionalText(key) ?? "linear") switch
        {
            "none" => null,
            "linear" => factor is null or 1 ? null : new RopeScaling("linear", factor.Value),
            { } other => throw _values.Fault(key,
                $"is {MessageText.Text(other)}, but Koala computes none, linear, and the divisors in {GgufNames.RopeDivisors}",
                NotThisModel),
        };
        if (_values.OptionalPositive("llama.rope.scaling.attn_factor") is { } attention and not 1)
            throw _values.Fault("llama.rope.scaling.attn_factor",
                $"is {attention}, but Koala does not scale attention by it", NotThisModel);
        if (file.Numbers(GgufNames.RopeDivisors) is not { } divisors) return linear;
        if (linear is not null)
            throw _values.Fault(key, $"is linear, but {GgufNames.RopeDivisors} stretches the positions too", NotThisModel);
        return divisors.Length == headDim / 2 && divisors.All(d => float.IsFinite(d) && d > 0)
            ? new RopeScaling("divisors", 1, Divisors: divisors)
            : throw new KoalaException($"{file.Path}, tensor '{GgufNames.RopeDivisors}'",
                $"does not contain {headDim / 2} finite numbers above 0, one for each pair of a head's components", Correct);
    }

    private int[] EndIds(int vocabulary)
    {
        int?[] ids =
        [
            _values.OptionalId("tokenizer.ggml.eos_token_id", vocabulary),
            _values.OptionalId("tokenizer.ggml.eot_token_id", vocabulary),
        ];
        return [.. ids.OfType<int>().Distinct().Order()];
    }
}
