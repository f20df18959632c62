using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>The sizes of a target, from a Hugging Face <c>config.json</c> or a GGUF file's metadata. They are consistent.</summary>
/// <remarks>
/// The architectures are those of <see cref="ModelFamilies"/>, which differ by the properties from <see cref="SlidingWindow"/> on. Their
/// defaults are Llama's.
/// </remarks>
public sealed record ModelConfig
{
    /// <summary>The largest allowed size, so that no later product overflows and no list is built from a hostile number.</summary>
    internal const int LargestSize = 1 << 24;

    /// <summary>The architecture's class name in Hugging Face's transformers.</summary>
    public required string Architecture { get; init; }

    /// <summary>The family, as config.json names it, such as llama or qwen3.</summary>
    public required string ModelType { get; init; }

    /// <summary>The width of the hidden states.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The width inside the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The number of decoder layers.</summary>
    public required int Layers { get; init; }

    /// <summary>The number of query heads, a multiple of <see cref="KeyValueHeads"/>.</summary>
    public required int Heads { get; init; }

    /// <summary>The number of key heads, and of value heads.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>The width of an attention head, an even number.</summary>
    public required int HeadDim { get; init; }

    /// <summary>The number of rows of the embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The number that the root-mean-square norms add under the root, above 0 and below 1.</summary>
    public required double RmsNormEps { get; init; }

    /// <summary>The base of the rotary frequencies. Default 10,000.</summary>
    public required double RopeTheta { get; init; }

    /// <summary>How the rotary positions are stretched; null if they are not.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>
    /// How many components of each head are rotated, from the first one on, an even number; null for all of them. The config gives it as
    /// a share of the head, <c>partial_rotary_factor</c> (Phi-4-mini).
    /// </summary>
    public int? RotaryDim { get; init; }

    /// <summary>
    /// What the rotated components of partly rotated heads are multiplied by, where longrope scales rotations; otherwise 1. In wholly
    /// rotated heads it is part of <see cref="AttentionScale"/>.
    /// </summary>
    public double RotaryFactor { get; init; } = 1;

    /// <summary>
    /// The largest number of tokens of a sequence: <c>max_position_embeddings</c> (GGUF: <c>context_length</c>), or with longrope the
    /// context of the first training, up to which the model uses the factors that Koala uses.
    /// </summary>
    public required int ContextLength { get; init; }

    /// <summary>
    /// Whether the output layer is the embedding; null if the config does not say it. Weights that contain an output layer of their
    /// own are computed with it.
    /// </summary>
    public required bool? TieWordEmbeddings { get; init; }

    /// <summary>
    /// How many tokens back a token attends, itself included, in the layers of <see cref="WindowLayers"/>; null if all layers attend to
    /// everything.
    /// </summary>
    public int? SlidingWindow { get; init; }

    /// <summary>The layers with a sliding window, counted from 0, ascending; empty if none has one.</summary>
    public IReadOnlyList<int> WindowLayers { get; init; } = [];

    /// <summary>
    /// The base of the rotary frequencies in the layers with a sliding window, which are not stretched; null if it is that of all layers
    /// (Gemma 3 has another one).
    /// </summary>
    public double? LocalRopeTheta { get; init; }

    /// <summary>The layers without rotary positions, counted from 0, ascending (SmolLM3).</summary>
    public IReadOnlyList<int> UnrotatedLayers { get; init; } = [];

    /// <summary>The feed-forward part's activation: <c>silu</c>, or <c>gelu_tanh</c> (Gemma).</summary>
    public string Activation { get; init; } = "silu";

    /// <summary>What embeddings are multiplied by. Default 1 (Gemma: the root of the width).</summary>
    public double EmbeddingScale { get; init; } = 1;

    /// <summary>Whether norms multiply by 1 + weight (Gemma).</summary>
    public bool NormsAddOne { get; init; }

    /// <summary>Whether the outputs of attention and of the feed-forward part are normed before they are added (Gemma 2 and 3).</summary>
    public bool OutputNorms { get; init; }

    /// <summary>
    /// What the products of queries and keys are multiplied by; null for 1 / √<see cref="HeadDim"/>. The factor that yarn and longrope put
    /// on rotations is part of it.
    /// </summary>
    public double? AttentionScale { get; init; }

    /// <summary>c of c·tanh(x/c), through which attention scores go; null for none (Gemma 2).</summary>
    public double? AttentionSoftCap { get; init; }

    /// <summary>c of c·tanh(x/c), through which logits go; null for none (Gemma 2).</summary>
    public double? LogitSoftCap { get; init; }

    /// <summary>Whether files have one tensor for queries, keys and values, and one for gate and up (Phi-3).</summary>
    public bool FusedProjections { get; init; }

    /// <summary>Whether the query, key and value projections have biases (Qwen2). No other projection has any.</summary>
    public required bool AttentionBias { get; init; }

    /// <summary>Whether the queries and keys of each head are normed before rotation (Qwen3).</summary>
    public required bool QueryKeyNorm { get; init; }

    /// <summary>The dtype that the config gives (<c>dtype</c> or <c>torch_dtype</c>); null if it gives none.</summary>
    public ScalarType? Dtype { get; init; }

    /// <summary>The token that a text begins with; null if the config gives none.</summary>
    public int? BeginOfSequenceId { get; init; }

    /// <summary>
    /// The tokens that end an answer, ascending: those of config.json and of generation_config.json (GGUF: the end of a sequence and
    /// the end of a turn). The list may be empty.
    /// </summary>
    public required IReadOnlyList<int> EndOfSequenceIds { get; init; }

    /// <summary>The sizes with Llama's switches, as the layers of heads have them; biases and norms of queries and keys stay.</summary>
    internal ModelConfig ForHeads => HasLlamaLayers && SlidingWindow is null && RotaryDim is null
        ? this
        : this with
        {
            SlidingWindow = null, WindowLayers = [], LocalRopeTheta = null, UnrotatedLayers = [], Activation = "silu", OutputNorms = false,
            AttentionScale = null, AttentionSoftCap = null,
            // What stretches the rotated pairs is for so many pairs.
            RotaryDim = null, RotaryFactor = 1, RopeScaling = RotaryDim is null ? RopeScaling : null,
        };

    /// <summary>The window of a layer; null if it attends to everything.</summary>
    internal int? WindowOf(int layer) => WindowLayers.Contains(layer) ? SlidingWindow : null;

    /// <summary>Whether a layer computes only what Llama's layers do, up to windows.</summary>
    internal bool HasLlamaLayers =>
        LocalRopeTheta is null && UnrotatedLayers.Count == 0 && Activation == "silu" && !OutputNorms && AttentionScale is null
        && AttentionSoftCap is null && RotaryFactor == 1;

    /// <param name="config">The bytes of config.json.</param>
    /// <param name="where">Its path, for messages.</param>
    /// <param name="generationConfig">The bytes of generation_config.json, if there is one.</param>
    /// <param name="generationWhere">Its path, for messages.</param>
    /// <exception cref="KoalaException">
    /// A key is missing, or a value is out of range, inconsistent, or one that Koala does not compute.
    /// </exception>
    public static ModelConfig Parse(ReadOnlyMemory<byte> config, string where,
        ReadOnlyMemory<byte>? generationConfig = null, string generationWhere = "generation_config.json")
    {
        var reader = new ModelConfigReader(JsonFile.Parse(config, where), where);
        var generation = generationConfig is { } bytes
            ? new JsonSection(JsonFile.Parse(bytes, generationWhere), generationWhere)
            : null;
        return reader.Read(generation);
    }
}
