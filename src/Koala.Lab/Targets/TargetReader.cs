using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Gguf;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Reads a target's tensors under Hugging Face's names, and joins those that share their input.</summary>
/// <param name="files">The opened files of the model, whose tensors have been checked.</param>
/// <param name="dtype">The dtype that the weights are rounded to.</param>
/// <param name="eightBits">Whether a CPU rounds matrices to int8; see <see cref="EightBitWeights"/>.</param>
internal sealed class TargetReader(ModelFiles files, ScalarType dtype, bool eightBits = false)
{
    /// <summary>The name of the final norm.</summary>
    public const string FinalNorm = "model.norm.weight";

    /// <summary>The name of the embedding.</summary>
    public const string Embedding = "model.embed_tokens.weight";

    /// <summary>The sizes and switches of the model.</summary>
    public ModelConfig Config => files.Config;

    /// <summary>The dtype that the weights are rounded to.</summary>
    public ScalarType Dtype => dtype;

    /// <summary>Whether a CPU rounds matrices to int8 after that.</summary>
    public bool EightBits => eightBits;

    /// <summary>The tensors that each tensor of a layer is joined from, in the order of <see cref="DecoderScript.LayerTensors"/>.</summary>
    public static IEnumerable<(string Name, string[] Parts)> LayerParts(ModelConfig config, int layer)
    {
        var attention = $"model.layers.{layer}.self_attn";
        var mlp = $"model.layers.{layer}.mlp";
        foreach (var name in DecoderScript.LayerTensors(config))
        {
            yield return (name, name switch
            {
                "input_norm" => [$"model.layers.{layer}.input_layernorm.weight"],
                "qkv" when config.FusedProjections => [$"{attention}.qkv_proj.weight"],
                "gate_up" when config.FusedProjections => [$"{mlp}.gate_up_proj.weight"],
                "qkv" => [$"{attention}.q_proj.weight", $"{attention}.k_proj.weight", $"{attention}.v_proj.weight"],
                "o" => [$"{attention}.o_proj.weight"],
                // Llama's name says where the norm stands; where outputs are normed too, that norm has the name.
                "post_norm" when config.OutputNorms => [$"model.layers.{layer}.pre_feedforward_layernorm.weight"],
                "post_norm" or "attention_output_norm" => [$"model.layers.{layer}.post_attention_layernorm.weight"],
                "feed_forward_output_norm" => [$"model.layers.{layer}.post_feedforward_layernorm.weight"],
                "gate_up" => [$"{mlp}.gate_proj.weight", $"{mlp}.up_proj.weight"],
                "down" => [$"{mlp}.down_proj.weight"],
                "qkv_bias" => [$"{attention}.q_proj.bias", $"{attention}.k_proj.bias", $"{attention}.v_proj.bias"],
                "q_norm" or "k_norm" => [$"{attention}.{name}.weight"],
                _ => throw new ArgumentOutOfRangeException(nameof(config), name, "It is no tensor of a layer."),
            });
        }
    }

    /// <summary>
    /// Reads a tensor; the weight of a norm is what the norm multiplies by. Queries and keys of which a part is rotated are in the order of
    /// <see cref="RotaryEmbedding.PairOrder"/>.
    /// </summary>
    public Tensor Read(string name, Device device)
    {
        var tensors = new CheckedTensors(files.Tensors);
        if (Config.RotaryDim is { } rotated && IsFusedQkv(name))
        {
            using var inner = NewDisposeScope();
            return tensors.Read(name, dtype, device).index_select(0, QkvOrder(rotated).to(device)).MoveToOuterDisposeScope();
        }
        if (!Config.NormsAddOne || !name.EndsWith("norm.weight", StringComparison.Ordinal)) return tensors.Read(name, dtype, device);
        using var scope = NewDisposeScope();
        // The sum is rounded once.
        return (tensors.Read(name, ScalarType.Float32, device) + 1).to(dtype).MoveToOuterDisposeScope();
    }

    private static bool IsFusedQkv(string name) => name.EndsWith("qkv_proj.weight", StringComparison.Ordinal);

    private Tensor QkvOrder(int rotated)
    {
        var (width, heads) = (Config.HeadDim, Config.Heads + Config.KeyValueHeads);
        long[] order = [.. RotaryEmbedding.PairOrder(width, rotated)];
        return tensor((long[])
        [
            .. Enumerable.Range(0, heads).SelectMany(head => order.Select(row => head * width + row)),
            .. Enumerable.Range(heads * width, Config.KeyValueHeads * width),
        ]);
    }

    /// <summary>Reads tensors and joins their rows.</summary>
    public Tensor ReadFused(string[] names, Device device)
    {
        using var scope = NewDisposeScope();
        var parts = names.Select(name => Read(name, device)).ToArray();
        return (parts is [var only] ? only : cat(parts, 0)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Matrices as the files store them, if their rows follow one another as they are and nothing is rounded; otherwise null.
    /// </summary>
    public IReadOnlyList<StoredMatrix>? Stored(string[] names)
    {
        // These rows are put in another order.
        if (Config.RotaryDim is not null && names.Any(IsFusedQkv)) return null;
        var tensors = new CheckedTensors(files.Tensors);
        StoredMatrix[] parts = [.. names.Select(tensors.Stored).OfType<StoredMatrix>()];
        bool IsKept(StoredMatrix part) => part.Dtype == parts[0].Dtype && (dtype == ScalarType.Float32 || dtype == part.Dtype);
        return parts.Length == names.Length && parts.All(IsKept) ? parts : null;
    }

    /// <summary>
    /// The codes of matrices, if all of them are quantized and their weights are not rounded to another dtype; otherwise null. The caller
    /// disposes them.
    /// </summary>
    public IReadOnlyList<QuantizedMatrix>? ReadCodes(string[] names)
    {
        if (dtype != ScalarType.Float32 || files.Tensors is not GgufFile file) return null;
        var parts = names.Select(name => file.ReadCodes(name)).ToArray();
        // Reading the numbers tells what is wrong with those that are not finite.
        if (parts.All(part => part is { IsFinite: true })) return parts!;
        foreach (var part in parts) part?.Dispose();
        return null;
    }

    /// <summary>Whether the LM head is not the embedding.</summary>
    /// <remarks>
    /// A file may contain the tied LM head a second time. If it differs from the embedding, the file's own counts, as in current versions
    /// of transformers.
    /// </remarks>
    public bool HasOwnLmHead()
    {
        if (!TargetTensors.HasLmHead(files)) return false;
        if (Config.TieWordEmbeddings != true) return true;
        if (Stored([TargetTensors.LmHead, Embedding]) is [var own, var shared] && AreSameBytes(own, shared)) return false;
        using var scope = NewDisposeScope();
        return !Read(TargetTensors.LmHead, CPU).eq(Read(Embedding, CPU)).all().item<bool>();
    }

    private static bool AreSameBytes(StoredMatrix first, StoredMatrix second)
    {
        const int BytesAtOnce = 1 << 20;
        if (first.Rows != second.Rows || first.Columns != second.Columns) return false;
        var rows = (int)Math.Clamp(BytesAtOnce / first.RowBytes, 1, first.Rows);
        var (a, b) = (new byte[rows * first.RowBytes], new byte[rows * first.RowBytes]);
        for (var row = 0L; row < first.Rows; row += rows)
        {
            var bytes = (int)(Math.Min(rows, first.Rows - row) * first.RowBytes);
            first.Fill(row, a.AsSpan(0, bytes));
            second.Fill(row, b.AsSpan(0, bytes));
            if (!a.AsSpan(0, bytes).SequenceEqual(b.AsSpan(0, bytes))) return false;
        }
        return true;
    }
}
