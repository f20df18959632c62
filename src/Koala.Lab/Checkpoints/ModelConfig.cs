using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>The shape of a target, from a Hugging Face <c>config.json</c> or a GGUF file's metadata; consistent in itself.</summary>
/// <remarks>LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM, which differ by the switches below.</remarks>
public sealed record ModelConfig
{
    /// <summary>Every size has a ceiling, so that no later product overflows and no list is built from a hostile number.</summary>
    internal const int LargestSize = 1 << 24;

    /// <summary>The architecture's class name in Hugging Face's transformers.</summary>
    public required string Architecture { get; init; }

    /// <summary>The family as config.json names it: llama, mistral, qwen2, qwen3.</summary>
    public required string ModelType { get; init; }

    /// <summary>Width of the hidden states.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width inside the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Decoder layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Query heads, a multiple of <see cref="KeyValueHeads"/>.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Width of a head, even.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>What the root-mean-square norms add under the root, above 0 and below 1.</summary>
    public required double RmsNormEps { get; init; }

    /// <summary>Base of the rotary frequencies. Default 10,000.</summary>
    public required double RopeTheta { get; init; }

    /// <summary>Stretched rotary positions; null for plain ones.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>
    /// Tokens the model can hold: <c>max_position_embeddings</c> (GGUF: <c>context_length</c>), or the sliding window where that is smaller. Up to the window,
    /// windowed and full attention are the same, and Koala computes full attention.
    /// </summary>
    public required int ContextLength { get; init; }

    /// <summary>Whether the output layer is the embedding.</summary>
    public required bool TieWordEmbeddings { get; init; }

    /// <summary>Whether the query, key and value projections have biases (Qwen2). No other projection has any.</summary>
    public required bool AttentionBias { get; init; }

    /// <summary>Whether queries and keys are normed by head before rotation (Qwen3).</summary>
    public required bool QueryKeyNorm { get; init; }

    /// <summary>The dtype the config names (<c>dtype</c> or <c>torch_dtype</c>); null if it names none.</summary>
    public ScalarType? Dtype { get; init; }

    /// <summary>The token a text begins with; null if the config names none.</summary>
    public int? BeginOfSequenceId { get; init; }

    /// <summary>Tokens that end an answer: those of config.json and generation_config.json together (GGUF: the ends of a sequence and of a turn), ascending. May be empty.</summary>
    public required IReadOnlyList<int> EndOfSequenceIds { get; init; }

    /// <param name="config">The bytes of config.json.</param>
    /// <param name="where">Its path, for messages.</param>
    /// <param name="generationConfig">The bytes of generation_config.json, if there is one.</param>
    /// <param name="generationWhere">Its path, for messages.</param>
    /// <exception cref="KoalaException">A key is missing, or a value is out of range, inconsistent or of a kind Koala does not compute.</exception>
    public static ModelConfig Parse(ReadOnlyMemory<byte> config, string where, ReadOnlyMemory<byte>? generationConfig = null, string generationWhere = "generation_config.json") =>
        new ModelConfigReader(JsonFile.Parse(config, where), where).Read(
            generationConfig is { } bytes ? new JsonSection(JsonFile.Parse(bytes, generationWhere), generationWhere) : null);
}
