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

    // The architectures by the names of GGUF files, which are those of the model types.
    private static readonly string[] s_architectures = ["llama", "qwen2", "qwen3"];

    // What models of other architectures compute beside these. A value of 1 changes nothing.
    private static readonly string[] s_scales =
    [
        "logit_scale", "residual_scale", "embedding_scale", "attention.scale", "attention.clamp_kqv", "attn_logit_softcapping",
        "final_logit_softcapping",
    ];

    // What rotations are multiplied by beside what yarn says.
    private static readonly string[] s_ropeFactors =
        ["rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_ext_factor"];

    private readonly GgufMetadata _values = file.Metadata;
    private readonly string _architecture = file.Metadata.Text(Architecture);

    internal ModelConfig Read()
    {
        RefuseOthers();
        var heads = _values.Size(Key("attention.head_count"));
        var width = HeadDim(_values.Size(Key("embedding_length")), heads);
        var vocabulary = Vocabulary();
        var scaling = Scaling(width);
        return new ModelConfig
        {
            Architecture = ModelFamilies.All.First(family => family.ModelType == _architecture).Architecture,
            ModelType = _architecture,
            HiddenSize = _values.Size(Key("embedding_length")),
            IntermediateSize = _values.Size(Key("feed_forward_length")),
            Layers = _values.Size(Key("block_count"), MostLayers),
            Heads = heads,
            KeyValueHeads = KeyValueHeads(heads),
            HeadDim = width,
            VocabularySize = vocabulary,
            RmsNormEps = Eps(),
            RopeTheta = _values.OptionalPositive(Key("rope.freq_base")) ?? DefaultRopeBase,
            RopeScaling = scaling,
            AttentionScale = AttentionScale(width, scaling),
            ContextLength = _values.Size(Key("context_length")),
            TieWordEmbeddings = !file.Tensors.ContainsKey("lm_head.weight"),
            AttentionBias = _architecture == "qwen2",
            QueryKeyNorm = _architecture == "qwen3",
            BeginOfSequenceId = _values.OptionalId("tokenizer.ggml.bos_token_id", vocabulary),
            EndOfSequenceIds = EndIds(vocabulary),
        };
    }

    private void RefuseOthers()
    {
        if (!s_architectures.Contains(_architecture))
            throw _values.Fault(Architecture,
                $"is {MessageText.Text(_architecture)}, but Koala computes {string.Join(", ", s_architectures)} from GGUF files",
                "use a model of one of these architectures, or the same model as a folder in safetensors");
        if (_values.Has(Key("expert_count")))
            throw _values.Fault(Key("expert_count"), "is given, but Koala computes one feed-forward part per layer", NotThisModel);
        foreach (var key in s_scales.Select(Key))
            if (_values.OptionalPositive(key) is { } scale and not 1)
                throw _values.Fault(key, $"is {scale}, but Koala computes {_architecture} without it", NotThisModel);
    }

    // Keys begin with the architecture.
    private string Key(string name) => $"{_architecture}.{name}";

    private int HeadDim(int hidden, int heads)
    {
        var key = Key("attention.key_length");
        var given = _values.OptionalSize(key);
        if (given is null && hidden % heads != 0)
            throw _values.Fault(Key("embedding_length"),
                $"is {hidden}, which {heads} attention heads do not divide, and {key} is not given", Correct);
        var width = given ?? hidden / heads;
        if (width % 2 != 0) throw _values.Fault(key, $"is {width}, but rotary positions need an even width", Correct);
        if ((long)width * heads > ModelConfig.LargestSize)
            throw _values.Fault(key, $"is {width}, which makes {heads} heads wider than {ModelConfig.LargestSize} together", Correct);
        foreach (var other in (string[])[Key("attention.value_length"), Key("rope.dimension_count")])
            if (_values.OptionalSize(other) is { } size && size != width)
                throw _values.Fault(other, $"is {size}, but heads are {width} wide and Koala rotates whole heads", NotThisModel);
        return width;
    }

    private int KeyValueHeads(int heads)
    {
        var key = Key("attention.head_count_kv");
        var keyValueHeads = _values.OptionalSize(key) ?? heads;
        return heads % keyValueHeads == 0
            ? keyValueHeads
            : throw _values.Fault(key, $"is {keyValueHeads}, which does not divide the {heads} attention heads", Correct);
    }

    private int Vocabulary()
    {
        var tokens = _values.OptionalCount(Tokens);
        if (_values.OptionalSize(Key("vocab_size")) is not { } size)
            return tokens is >= 1 and <= ModelConfig.LargestSize
                ? (int)tokens
                : throw _values.Fault(Tokens, $"lists {tokens ?? 0} tokens, but 1 to {ModelConfig.LargestSize} are expected", Correct);
        return tokens is null || tokens == size
            ? size
            : throw _values.Fault(Tokens, $"lists {tokens} tokens, but {Key("vocab_size")} is {size}", Correct);
    }

    private double Eps()
    {
        var key = Key("attention.layer_norm_rms_epsilon");
        var eps = _values.Positive(key);
        return eps < 1 ? eps : throw _values.Fault(key, $"is {eps}, but a small number below 1 is expected", Correct);
    }

    private RopeScaling? Scaling(int headDim)
    {
        var key = Key("rope.scaling.type");
        // For linear scaling, older files give only a factor, and the oldest files give it under another name.
        var factor = _values.OptionalPositive(Key("rope.scaling.factor")) ?? _values.OptionalPositive(Key("rope.scale_linear"));
        var scaling = (_values.OptionalText(key) ?? "linear") switch
        {
            "none" => null,
            "linear" => factor is null or 1 ? null : new RopeScaling("linear", factor.Value),
            "yarn" => Yarn(factor ?? throw _values.Fault(Key("rope.scaling.factor"), "is missing, but yarn needs it", Correct)),
            { } other => throw _values.Fault(key,
                $"is {MessageText.Text(other)}, but Koala computes none, linear, yarn, and the divisors in {GgufNames.RopeDivisors}",
                NotThisModel),
        };
        foreach (var neutral in s_ropeFactors.Select(Key))
            if (_values.OptionalPositive(neutral) is { } attention and not 1)
                throw _values.Fault(neutral, $"is {attention}, but Koala does not scale attention by it", NotThisModel);
        if (file.Numbers(GgufNames.RopeDivisors) is not { } divisors) return scaling;
        if (scaling is not null)
            throw _values.Fault(key, $"is {scaling.Type}, but {GgufNames.RopeDivisors} stretches the positions too", NotThisModel);
        return divisors.Length == headDim / 2 && divisors.All(d => float.IsFinite(d) && d > 0)
            ? new RopeScaling("divisors", 1, Divisors: divisors)
            : throw new KoalaException($"{file.Path}, tensor '{GgufNames.RopeDivisors}'",
                $"does not contain {headDim / 2} finite numbers above 0, one for each pair of a head's components", Correct);
    }

    private RopeScaling Yarn(double factor)
    {
        var key = Key("rope.scaling.yarn_log_multiplier");
        if (_values.Has(key)) throw _values.Fault(key, "is given, but Koala computes yarn without it", NotThisModel);
        var (slow, fast) = (_values.OptionalPositive(Key("rope.scaling.yarn_beta_slow")) ?? RopeScaling.BetaSlow,
            _values.OptionalPositive(Key("rope.scaling.yarn_beta_fast")) ?? RopeScaling.BetaFast);
        if (fast <= slow)
            throw _values.Fault(Key("rope.scaling.yarn_beta_fast"), $"is {fast}, but must be above yarn_beta_slow, {slow}", Correct);
        var original = _values.OptionalSize(Key("rope.scaling.original_context_length")) ?? _values.Size(Key("context_length"));
        return new RopeScaling("yarn", factor, slow, fast, original);
    }

    // yarn multiplies the rotations of queries and of keys.
    private static double? AttentionScale(int headDim, RopeScaling? scaling) => scaling is { Type: "yarn", Factor: > 1 }
        ? Math.Pow(RopeScaling.YarnAttention(scaling.Factor), 2) / Math.Sqrt(headDim)
        : null;

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
