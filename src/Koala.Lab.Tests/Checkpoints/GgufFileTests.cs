using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Gguf;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class GgufFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Tensors_go_by_hugging_faces_names_and_shapes()
    {
        using var file = Open(GgufBytes.Small());
        Assert.Equal(
            [
                "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
                "model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.gate_proj.weight",
                "model.layers.0.mlp.up_proj.weight", "model.layers.0.post_attention_layernorm.weight",
                "model.layers.0.self_attn.k_proj.weight",
                "model.layers.0.self_attn.o_proj.weight", "model.layers.0.self_attn.q_proj.weight",
                "model.layers.0.self_attn.v_proj.weight", "model.norm.weight",
            ],
            file.Tensors.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([4L, 6L], file.Tensors["model.layers.0.mlp.down_proj.weight"].Shape);
        Assert.Equal((ScalarType.Float32, "F32"),
            (file.Tensors["model.norm.weight"].Dtype, file.Tensors["model.norm.weight"].Stored));
    }

    [Fact]
    public void Rows_of_queries_and_keys_go_from_pairs_to_halves()
    {
        // One head of 8 rows: rows 0, 2, 4, 6 of the file are the first half, rows 1, 3, 5, 7 the second.
        using var scope = NewDisposeScope();
        byte[] rows = [.. Enumerable.Range(0, 8).SelectMany(row => BitConverter.GetBytes((float)row))];
        using var file = Open(GgufBytes.Small()
            .Set("llama.attention.key_length", 8u)
            .Tensor("blk.1.attn_q.weight", [1, 8], 0, rows)
            .Tensor("blk.1.attn_v.weight", [1, 8], 0, rows));
        Assert.Equal([0f, 2, 4, 6, 1, 3, 5, 7],
            file.Read("model.layers.1.self_attn.q_proj.weight", ScalarType.Float32, CPU).data<float>().ToArray());
        Assert.Equal([0f, 1, 2, 3, 4, 5, 6, 7],
            file.Read("model.layers.1.self_attn.v_proj.weight", ScalarType.Float32, CPU).data<float>().ToArray());
    }

    [Fact]
    public void The_embedding_is_tied_where_there_is_no_output()
    {
        using (var tied = Open(GgufBytes.Small())) Assert.True(tied.Config.TieWordEmbeddings);
        using var untied = Open(GgufBytes.Small().Tensor("output.weight", [4, 4], 0, new byte[64]));
        Assert.False(untied.Config.TieWordEmbeddings);
        Assert.Contains("lm_head.weight", untied.Tensors.Keys);
    }

    [Fact]
    public void Config_comes_from_the_metadata()
    {
        using var file = Open(GgufBytes.Small()
            .Set("llama.rope.freq_base", 500_000f)
            .Set("llama.rope.scaling.type", "linear")
            .Set("llama.rope.scaling.factor", 4f)
            .Set("tokenizer.ggml.bos_token_id", 1u).SetRaw("llama.context_length", 10, BitConverter.GetBytes(2048UL)));
        var c = file.Config;
        Assert.Equal(("LlamaForCausalLM", "llama", 4, 6, 1, 2, 1, 2, 4),
            (c.Architecture, c.ModelType, c.HiddenSize, c.IntermediateSize, c.Layers, c.Heads, c.KeyValueHeads,
                c.HeadDim, c.VocabularySize));
        Assert.Equal((1e-5, 500_000, new RopeScaling("linear", 4), 2048, 1),
            (c.RmsNormEps, c.RopeTheta, c.RopeScaling, c.ContextLength, c.BeginOfSequenceId));
        Assert.Equal([3], c.EndOfSequenceIds);
    }

    [Theory]
    [InlineData("none", 4f)]
    [InlineData("linear", 1f)]
    public void Scaling_without_a_type_or_with_factor_1_is_no_scaling(string type, float factor)
    {
        using var file = Open(GgufBytes.Small().Set("llama.rope.scaling.type", type).Set("llama.rope.scaling.factor", factor));
        Assert.Null(file.Config.RopeScaling);
    }

    [Fact]
    public void Head_counts_and_the_size_of_the_vocabulary_have_defaults()
    {
        using var file = Open(GgufBytes.Small().Without("llama.attention.head_count_kv").Without("llama.vocab_size"));
        Assert.Equal((2, 4, 10_000), (file.Config.KeyValueHeads, file.Config.VocabularySize, file.Config.RopeTheta));
    }

    [Fact]
    public void A_long_tensor_is_read_in_pieces_with_little_extra_memory_and_no_leak()
    {
        // Blocks of 32 numbers with d = 1 whose first number counts the blocks, in pieces of 128.
        const int blocks = 1 << 17;
        var data = new byte[34 * blocks];
        for (var i = 0; i < blocks; i++) (data[34 * i + 1], data[34 * i + 2], data[34 * i + 33]) = (0x3C, (byte)i, 7);
        using var file = Open(GgufBytes.Small().Tensor("x", [32, blocks], 8, data));
        file.Read("x", ScalarType.BFloat16, CPU).Dispose();
        var (live, before) = (Tensor.TotalCount, GC.GetTotalAllocatedBytes(precise: true));
        foreach (var dtype in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
        {
            using var scope = NewDisposeScope();
            var x = file.Read("x", dtype, CPU).to(ScalarType.Float32);
            Assert.True(x.select(1, 0)
                .equal(arange(blocks).bitwise_and(255).add(128).bitwise_and(255).sub(128))
                .all()
                .item<bool>());
            Assert.True(x.select(1, 31).equal(7).all().item<bool>());
            Assert.True(x.narrow(1, 1, 30).equal(0).all().item<bool>());
        }
        Assert.Equal(live, Tensor.TotalCount);
        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 0, data.Length / 2);
    }

    private GgufFile Open(GgufBytes file)
    {
        File.WriteAllBytes(_folder.At("x.gguf"), file.Build());
        return GgufFile.Open(_folder.At("x.gguf"));
    }
}
