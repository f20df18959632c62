using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>The sizes of a target, from a Hugging Face <c>config.json</c> or a GGUF file's metadata. They are consistent.</summary>
/// <remarks>
/// The architectures are LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM, which differ by the boolean
/// properties of this record.
/// </remarks>
public sealed record ModelConfig
{
    /// <summary>The largest allowed size, so that no later product overflows and no list is built from a hostile number.</summary>
    internal const int LargestSize = 1 << 24;

    /// <summary>The architecture's class name in Hugging Face's transformers.</summary>
    public required string Architecture { get; init; }

    /// <summary>The family, as config.json names it: llama, mistral, qwen2, qwen3.</summary>
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
    /// The largest number of tokens of a sequence: <c>max_position_embeddings</c> (GGUF: <c>context_length</c>), or the sliding window
    /// if that is smaller. Up to the window, windowed and full attention are the same, and Koala computes full attention.
    /// </summary>
    public required int ContextLength { get; init; }

    /// <summary>
    /// Whether the output layer is the embedding; null if the config does not say it. Weights that contain an output layer of their
    /// own are computed with it.
    /// </summary>
    public required bool? TieWordEmbeddings { get; init; }

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
