using System.Text;

namespace Koala.Lab.Tests.Checkpoints;

/// <summary>A GGUF file made by hand: a target of one layer with weights in many types.</summary>
internal static class SmallGguf
{
    private const int Alignment = 32;
    private static readonly string[] s_tokens = ["<|end|>", "a", "b", "c", "ab", "abc", "Ġ", "d"];

    // Type id and bytes of a block of 32 numbers (of one, for the plain types times 32).
    private static readonly (uint Id, int Bytes) s_f32 = (0, 128), s_f16 = (1, 64), s_q40 = (2, 18), s_q41 = (3, 20), s_q50 = (6, 22), s_q51 = (7, 24), s_q80 = (8, 34), s_bf16 = (30, 64);

    private static readonly (string Name, int[] Dims, (uint Id, int Bytes) Type)[] s_tensors =
    [
        ("token_embd.weight", [32, 8], s_q80), ("output_norm.weight", [32], s_f32),
        ("blk.0.attn_norm.weight", [32], s_f32), ("blk.0.attn_q.weight", [32, 32], s_q40), ("blk.0.attn_k.weight", [32, 16], s_q41),
        ("blk.0.attn_v.weight", [32, 16], s_q50), ("blk.0.attn_output.weight", [32, 32], s_q51), ("blk.0.ffn_norm.weight", [32], s_f32),
        ("blk.0.ffn_gate.weight", [32, 32], s_f16), ("blk.0.ffn_up.weight", [32, 32], s_bf16), ("blk.0.ffn_down.weight", [32, 32], s_q40),
    ];

    public static byte[] Bytes()
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        var values = new List<Action>();
        void Key(string key, uint type, Action value) => values.Add(() =>
        {
            Text(w, key);
            w.Write(type);
            value();
        });
        void Number(string key, uint value) => Key(key, 4, () => w.Write(value));
        void List(string key, uint type, int count, Action<int> item) => Key(key, 9, () =>
        {
            w.Write(type);
            w.Write((ulong)count);
            for (var i = 0; i < count; i++) item(i);
        });

        Key("general.architecture", 8, () => Text(w, "llama"));
        Number("llama.context_length", 64);
        Number("llama.embedding_length", 32);
        Number("llama.block_count", 1);
        Number("llama.feed_forward_length", 32);
        Number("llama.attention.head_count", 2);
        Number("llama.attention.head_count_kv", 1);
        Number("llama.rope.dimension_count", 16);
        Key("llama.attention.layer_norm_rms_epsilon", 6, () => w.Write(1e-5f));
        Key("llama.rope.freq_base", 6, () => w.Write(10000f));
        Key("tokenizer.ggml.model", 8, () => Text(w, "gpt2"));
        Key("tokenizer.ggml.pre", 8, () => Text(w, "gpt-2"));
        List("tokenizer.ggml.tokens", 8, s_tokens.Length, i => Text(w, s_tokens[i]));
        List("tokenizer.ggml.token_type", 5, s_tokens.Length, i => w.Write(i == 0 ? 3 : 1));
        List("tokenizer.ggml.merges", 8, 2, i => Text(w, i == 0 ? "a b" : "ab c"));
        Number("tokenizer.ggml.eos_token_id", 0);
        Key("tokenizer.ggml.add_bos_token", 7, () => w.Write(false));
        Key("tokenizer.chat_template", 8, () => Text(w, "{% for m in messages %}{{ m.content }}{% endfor %}"));

        w.Write("GGUF"u8);
        w.Write(3u);
        w.Write((ulong)s_tensors.Length);
        w.Write((ulong)values.Count);
        foreach (var write in values) write();
        var offset = 0;
        foreach (var (name, dims, type) in s_tensors)
        {
            Text(w, name);
            w.Write((uint)dims.Length);
            foreach (var dim in dims) w.Write((ulong)dim);
            w.Write(type.Id);
            w.Write((ulong)offset);
            offset += Padded(Size(dims, type.Bytes));
        }
        while (stream.Position % Alignment != 0) w.Write((byte)0);
        foreach (var (_, dims, type) in s_tensors)
            for (var i = 0; i < Padded(Size(dims, type.Bytes)); i++) w.Write((byte)(i % 50));
        return stream.ToArray();
    }

    private static int Size(int[] dims, int block) => dims.Aggregate(1, (a, b) => a * b) / 32 * block;

    private static int Padded(int bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Text(BinaryWriter w, string text)
    {
        var utf8 = Encoding.UTF8.GetBytes(text);
        w.Write((ulong)utf8.Length);
        w.Write(utf8);
    }
}
