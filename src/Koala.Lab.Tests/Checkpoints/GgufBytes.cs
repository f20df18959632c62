using System.Text;

namespace Koala.Lab.Tests.Checkpoints;

/// <summary>Writes GGUF files for tests: valid ones, and invalid ones through overrides.</summary>
internal sealed class GgufBytes
{
    private readonly List<(string Key, byte[] Value)> _keys = [];
    private readonly List<(string Name, ulong[] Dimensions, uint Type, byte[] Data, ulong? Offset)> _tensors = [];

    public uint Magic { get; set; } = 0x46554747;

    public uint Version { get; set; } = 3;

    public ulong? TensorCount { get; set; }

    public ulong? KeyCount { get; set; }

    public int Alignment { get; set; } = 32;

    /// <summary>
    /// The smallest model: vocabulary 4, width 4, two heads of size 2 with one key-value head, one layer; all weights
    /// are fp32 and count up from 0.
    /// </summary>
    public static GgufBytes Small()
    {
        var file = new GgufBytes()
            .Set("general.architecture", "llama")
            .Set("llama.context_length", 16u)
            .Set("llama.embedding_length", 4u)
            .Set("llama.block_count", 1u)
            .Set("llama.feed_forward_length", 6u).Set("llama.attention.head_count", 2u).Set("llama.attention.head_count_kv", 1u)
            .Set("llama.attention.layer_norm_rms_epsilon", 1e-5f).Set("llama.vocab_size", 4u)
            .Set("tokenizer.ggml.model", "gpt2")
            .Set("tokenizer.ggml.pre", "gpt-2")
            .Set("tokenizer.ggml.tokens", ["a", "b", "ab", "<e>"])
            .Set("tokenizer.ggml.token_type", [1, 1, 1, 3])
            .Set("tokenizer.ggml.merges", ["a b"])
            .Set("tokenizer.ggml.eos_token_id", 3u);
        void Add(string name, params ulong[] dimensions) =>
            file.Tensor(name, dimensions, 0,
                [.. Enumerable.Range(0, (int)dimensions.Aggregate((a, b) => a * b))
                    .SelectMany(i => BitConverter.GetBytes((float)i))]);
        Add("token_embd.weight", 4, 4);
        Add("output_norm.weight", 4);
        Add("blk.0.attn_norm.weight", 4);
        Add("blk.0.attn_q.weight", 4, 4);
        Add("blk.0.attn_k.weight", 4, 2);
        Add("blk.0.attn_v.weight", 4, 2);
        Add("blk.0.attn_output.weight", 4, 4);
        Add("blk.0.ffn_norm.weight", 4);
        Add("blk.0.ffn_gate.weight", 4, 6);
        Add("blk.0.ffn_up.weight", 4, 6);
        Add("blk.0.ffn_down.weight", 6, 4);
        return file;
    }

    public GgufBytes Set(string key, uint value) => SetRaw(key, 4, BitConverter.GetBytes(value));

    public GgufBytes Set(string key, float value) => SetRaw(key, 6, BitConverter.GetBytes(value));

    public GgufBytes Set(string key, bool value) => SetRaw(key, 7, [value ? (byte)1 : (byte)0]);

    public GgufBytes Set(string key, string value) => SetRaw(key, 8, Text(value));

    public GgufBytes Set(string key, string[] values) =>
        SetRaw(key, 9, List(8, (ulong)values.Length, [.. values.SelectMany(Text)]));

    public GgufBytes Set(string key, int[] values) =>
        SetRaw(key, 9, List(5, (ulong)values.Length, [.. values.SelectMany(BitConverter.GetBytes)]));

    public GgufBytes Set(string key, float[] values) =>
        SetRaw(key, 9, List(6, (ulong)values.Length, [.. values.SelectMany(BitConverter.GetBytes)]));

    /// <summary>A value as raw bytes; it replaces the value of a key that exists already.</summary>
    public GgufBytes SetRaw(string key, uint type, byte[] value)
    {
        var at = _keys.FindIndex(k => k.Key == key);
        (string, byte[]) entry = (key, [.. BitConverter.GetBytes(type), .. value]);
        if (at < 0) _keys.Add(entry);
        else _keys[at] = entry;
        return this;
    }

    /// <summary>Adds a value for a new key.</summary>
    public void SetNew(string key, uint type, byte[] value) => _keys.Add((key, [.. BitConverter.GetBytes(type), .. value]));

    /// <summary>Adds a second value for a key.</summary>
    public GgufBytes Twice(string key)
    {
        _keys.Add(_keys.Find(k => k.Key == key));
        return this;
    }

    public GgufBytes Without(string key)
    {
        Assert.Equal(1, _keys.RemoveAll(k => k.Key == key));
        return this;
    }

    /// <param name="name">The tensor's name in the file.</param>
    /// <param name="dimensions">The sizes, innermost first, as in the file.</param>
    /// <param name="type">The number of the tensor's type.</param>
    /// <param name="data">The tensor's bytes.</param>
    /// <param name="offset">The offset that the file states; by default the actual one.</param>
    public GgufBytes Tensor(string name, ulong[] dimensions, uint type, byte[] data, ulong? offset = null)
    {
        _tensors.Add((name, dimensions, type, data, offset));
        return this;
    }

    /// <summary>Changes the entry of a tensor; its bytes stay.</summary>
    public GgufBytes ChangeEntry(string name, ulong[]? dimensions = null, uint? type = null, ulong? offset = null,
        string? newName = null)
    {
        var at = _tensors.FindIndex(t => t.Name == name);
        var (_, d, t, data, o) = _tensors[at];
        _tensors[at] = (newName ?? name, dimensions ?? d, type ?? t, data, offset ?? o);
        return this;
    }

    public GgufBytes WithoutTensor(string name)
    {
        Assert.Equal(1, _tensors.RemoveAll(t => t.Name == name));
        return this;
    }

    /// <summary>The same model in several files: the first one has the keys, and each a part of the tensors.</summary>
    public IReadOnlyList<GgufBytes> Split(int count)
    {
        var parts = new List<GgufBytes>();
        foreach (var tensors in _tensors.Chunk((_tensors.Count + count - 1) / count))
        {
            var part = new GgufBytes();
            if (parts.Count == 0) part._keys.AddRange(_keys);
            part.SetRaw("split.no", 2, BitConverter.GetBytes((ushort)parts.Count))
                .SetRaw("split.count", 2, BitConverter.GetBytes((ushort)count));
            part._tensors.AddRange(tensors);
            parts.Add(part);
        }
        return parts;
    }

    public byte[] Build()
    {
        var header = new List<byte>();
        header.AddRange([.. BitConverter.GetBytes(Magic), .. BitConverter.GetBytes(Version),
            .. BitConverter.GetBytes(TensorCount ?? (ulong)_tensors.Count),
            .. BitConverter.GetBytes(KeyCount ?? (ulong)_keys.Count)]);
        foreach (var (key, value) in _keys) header.AddRange([.. Text(key), .. value]);
        var data = new List<byte>();
        foreach (var (name, dimensions, type, bytes, offset) in _tensors)
        {
            Pad(data);
            header.AddRange([.. Text(name), .. BitConverter.GetBytes((uint)dimensions.Length),
                .. dimensions.SelectMany(BitConverter.GetBytes),
                .. BitConverter.GetBytes(type), .. BitConverter.GetBytes(offset ?? (ulong)data.Count)]);
            data.AddRange(bytes);
        }
        Pad(header);
        return [.. header, .. data];
    }

    public static byte[] Text(string text) =>
        [.. BitConverter.GetBytes((ulong)Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];

    public static byte[] List(uint type, ulong count, byte[] elements) =>
        [.. BitConverter.GetBytes(type), .. BitConverter.GetBytes(count), .. elements];

    private void Pad(List<byte> bytes) => bytes.AddRange(new byte[(Alignment - bytes.Count % Alignment) % Alignment]);
}
