using System.Text;
using Koala.Lab;
using Koala.Lab.Checkpoints;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Benchmarks;

/// <summary>Writes a target of the Llama architecture as a GGUF file of fp32 numbers, without a tokenizer, for llama.cpp.</summary>
internal static class GgufExport
{
    private const int Alignment = 32;
    private const uint UInt32 = 4, Float32 = 6, Text = 8;   // the format's numbers for types of values

    /// <summary>Writes the file.</summary>
    /// <param name="files">The target's opened files.</param>
    /// <param name="file">The file to write.</param>
    public static void Write(ModelFiles files, string file)
    {
        var config = files.Config;
        if (config.AttentionBias || config.QueryKeyNorm)
        {
            throw new KoalaException(
                files.Path, "is not of the Llama architecture", "compare a Llama model with llama.cpp, or a GGUF file");
        }
        using var scope = NewDisposeScope();
        var tensors = Tensors(files).ToArray();
        using var stream = File.Create(file);
        using var writer = new BinaryWriter(stream);
        (string Key, uint Type, object Value)[] values =
        [
            ("general.architecture", Text, "llama"),
            ("llama.context_length", UInt32, config.ContextLength),
            ("llama.embedding_length", UInt32, config.HiddenSize),
            ("llama.block_count", UInt32, config.Layers),
            ("llama.feed_forward_length", UInt32, config.IntermediateSize),
            ("llama.attention.head_count", UInt32, config.Heads),
            ("llama.attention.head_count_kv", UInt32, config.KeyValueHeads),
            ("llama.attention.layer_norm_rms_epsilon", Float32, config.RmsNormEps),
            ("llama.rope.freq_base", Float32, config.RopeTheta),
            ("llama.rope.dimension_count", UInt32, config.HeadDim),
            ("llama.vocab_size", UInt32, config.VocabularySize),
            ("tokenizer.ggml.model", Text, "no_vocab"),
        ];
        writer.Write("GGUF"u8);
        writer.Write(3);
        writer.Write((long)tensors.Length);
        writer.Write((long)values.Length);
        foreach (var (key, type, value) in values)
        {
            WriteText(writer, key);
            writer.Write(type);
            if (type == Text) WriteText(writer, (string)value);
            else if (type == UInt32) writer.Write(System.Convert.ToUInt32(value));
            else writer.Write(System.Convert.ToSingle(value));
        }
        var offset = 0L;
        foreach (var (name, weights) in tensors)
        {
            WriteText(writer, name);
            writer.Write((int)weights.dim());
            foreach (var size in weights.shape.Reverse()) writer.Write(size);
            writer.Write(0);                                // fp32
            writer.Write(offset);
            offset = Aligned(offset + weights.numel() * sizeof(float));
        }
        foreach (var (_, weights) in tensors)
        {
            writer.Write(new byte[Aligned(stream.Position) - stream.Position]);
            writer.Write(weights.bytes);
        }
    }

    private static IEnumerable<(string Name, Tensor Weights)> Tensors(ModelFiles files)
    {
        var config = files.Config;
        Tensor Read(string name) => files.Tensors.Read(name, ScalarType.Float32, CPU).contiguous();
        yield return ("token_embd.weight", Read(TargetReader.Embedding));
        yield return ("output_norm.weight", Read(TargetReader.FinalNorm));
        if (files.Tensors.Tensors.ContainsKey(TargetTensors.LmHead)) yield return ("output.weight", Read(TargetTensors.LmHead));
        for (var i = 0; i < config.Layers; i++)
        {
            var layer = $"model.layers.{i}";
            yield return ($"blk.{i}.attn_norm.weight", Read($"{layer}.input_layernorm.weight"));
            yield return ($"blk.{i}.attn_q.weight", Paired(Read($"{layer}.self_attn.q_proj.weight"), config.Heads));
            yield return ($"blk.{i}.attn_k.weight", Paired(Read($"{layer}.self_attn.k_proj.weight"), config.KeyValueHeads));
            yield return ($"blk.{i}.attn_v.weight", Read($"{layer}.self_attn.v_proj.weight"));
            yield return ($"blk.{i}.attn_output.weight", Read($"{layer}.self_attn.o_proj.weight"));
            yield return ($"blk.{i}.ffn_norm.weight", Read($"{layer}.post_attention_layernorm.weight"));
            foreach (var part in (string[])["gate", "up", "down"])
                yield return ($"blk.{i}.ffn_{part}.weight", Read($"{layer}.mlp.{part}_proj.weight"));
        }
    }

    // llama.cpp rotates neighbouring rows of a head as pairs: row i of half j becomes row 2i + j.
    private static Tensor Paired(Tensor weights, int heads)
    {
        var (rows, columns) = (weights.shape[0], weights.shape[1]);
        return weights.reshape(heads, 2, rows / heads / 2, columns).transpose(1, 2).reshape(rows, columns).contiguous();
    }

    private static long Aligned(long offset) => (offset + Alignment - 1) / Alignment * Alignment;

    private static void WriteText(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((long)bytes.Length);
        writer.Write(bytes);
    }
}
