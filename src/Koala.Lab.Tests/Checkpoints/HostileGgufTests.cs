using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Targets;
using Koala.Lab.Text.Tokenizers;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

/// <summary>
/// GGUF files with false contents: each is one KoalaException, and opening none takes more memory than its length and 1
/// MiB.
/// </summary>
public sealed class HostileGgufTests : IDisposable
{
    private const int Seed = 20_260_312;
    private const long Margin = 1 << 20;
    private const string Tokens = "tokenizer.ggml.tokens";
    private const string Types = "tokenizer.ggml.token_type";
    private const string Merges = "tokenizer.ggml.merges";
    private const string Norm = "output_norm.weight", Down = "blk.0.ffn_down.weight";

    private readonly TemporaryFolder _folder = new();

    /// <summary>The name of a case, the file, and words of its error.</summary>
    public static TheoryData<string, byte[], string> Files
    {
        get
        {
            var data = new TheoryData<string, byte[], string>();
            void Add(string name, GgufBytes file, string fault) => data.Add(name, file.Build(), fault);
            void Key(string key, Func<GgufBytes, GgufBytes> change, string fault, string what) =>
                Add($"{key} {what}", change(GgufBytes.Small()), fault);
            GgufBytes With(Action<GgufBytes> change)
            {
                var file = GgufBytes.Small();
                change(file);
                return file;
            }

            data.Add("empty file", [], "4 bytes are expected");
            data.Add("three bytes", "GGU"u8.ToArray(), "4 bytes are expected");
            data.Add("magic alone", "GGUF"u8.ToArray(), "4 bytes are expected");
            Add("another magic", With(f => f.Magic = 0x46554746), "'GGUF'");
            Add("version 0", With(f => f.Version = 0), "version 0");
            Add("version 1", With(f => f.Version = 1), "version 1");
            Add("version 4", With(f => f.Version = 4), "version 4");
            Add("big-endian version 3", With(f => f.Version = 0x03000000), "big-endian");
            foreach (var count in (ulong[])[200, uint.MaxValue, long.MaxValue, ulong.MaxValue])
            {
                Add($"{count} tensors", With(f => f.TensorCount = count), $"{count} tensors");
                Add($"{count} keys", With(f => f.KeyCount = count), count == 200 ? "" : $"{count} metadata keys");
            }
            Add("one tensor too few", With(f => f.TensorCount = 10), "1 missing");
            Add("no tensors", With(f => f.TensorCount = 0), "missing");
            Add("no keys", With(f => f.KeyCount = 0), "8 dimensions");

            // Keys and values.
            data.Add("key as long as everything", Patched(24, BitConverter.GetBytes(ulong.MaxValue)),
                "is said to be 18446744073709551615 bytes long");
            data.Add("key longer than the file", Patched(24, BitConverter.GetBytes(100_000UL)),
                "is said to be 100000 bytes long");
            data.Add("key that is not UTF-8", Patched(32, [0xFF, 0xFE]), "not valid UTF-8");
            Add("key of 70,000 letters", GgufBytes.Small().Set(new string('k', 70_000), 1u), "at most 65535");
            Add("key twice", GgufBytes.Small().Twice("llama.block_count"), "occurs twice");
            foreach (var type in (uint[])[13, 99, uint.MaxValue])
                Add($"value of type {type}", GgufBytes.Small().SetRaw("x", type, new byte[8]), $"type is {type}");
            Add("bool of 2", GgufBytes.Small().SetRaw("x", 7, [2]), "0 or 1");
            Add("list of lists",
                GgufBytes.Small().SetRaw("x", 9, GgufBytes.List(9, 1, GgufBytes.List(4, 1, new byte[4]))),
                "list of lists");
            Add("list of an unknown type", GgufBytes.Small().SetRaw("x", 9, GgufBytes.List(13, 1, new byte[8])), "type is 13");
            foreach (var count in (ulong[])[1 << 20, 1UL << 62, ulong.MaxValue])
                foreach (var type in (uint[])[0, 4, 8, 12])
                    Add($"list of {count} of type {type}",
                        GgufBytes.Small().SetRaw("x", 9, GgufBytes.List(type, count, new byte[8])),
                        $"{count} elements");
            Add("string in a list beyond the file",
                GgufBytes.Small().SetRaw("x", 9, GgufBytes.List(8, 1, BitConverter.GetBytes(1UL << 40))),
                "1099511627776 bytes long");
            Add("string beyond the file", GgufBytes.Small().SetRaw("x", 8, BitConverter.GetBytes(1UL << 63)),
                "9223372036854775808 bytes long");
            Add("100,000 keys of one letter",
                With(f => { for (var i = 0; i < 100_000; i++) f.SetNew($"{i}", 0, [0]); }), "more memory");
            foreach (var alignment in (uint[])[0, 3, 48, 1 << 17, uint.MaxValue])
                Add($"alignment {alignment}", GgufBytes.Small().Set("general.alignment", alignment), "power of two");
            Add("alignment as a string", GgufBytes.Small().Set("general.alignment", "32"), "power of two");

            // Tensors.
            Add("tensor name of 65 letters", GgufBytes.Small().ChangeEntry(Norm, newName: new string('n', 65)), "at most 64");
            Add("tensor twice", GgufBytes.Small().ChangeEntry(Norm, newName: "token_embd.weight"), "occurs twice");
            Add("tensor twice under two names", GgufBytes.Small().Tensor("model.norm.weight", [4], 0, new byte[16]),
                "two names");
            Add("20,000 tensors of one number",
                With(f => { for (var i = 0; i < 20_000; i++) f.Tensor($"{i}", [1], 0, new byte[4]); }), "more memory");
            Add("1,300 tensors of one number",
                With(f => { for (var i = 0; i < 1_300; i++) f.Tensor($"{i,64}", [1, 1, 1, 1], 0, new byte[4]); }),
                "1300 unexpected");
            Add("no dimensions", GgufBytes.Small().ChangeEntry(Norm, dimensions: []), "0 dimensions");
            Add("five dimensions", GgufBytes.Small().ChangeEntry(Norm, dimensions: [1, 1, 1, 1, 4]), "5 dimensions");
            Add("dimension 0", GgufBytes.Small().ChangeEntry(Norm, dimensions: [0]), "a dimension is 0");
            Add("dimension beyond 63 bits", GgufBytes.Small().ChangeEntry(Norm, dimensions: [1UL << 63]), "a dimension is");
            Add("dimensions whose product wraps to 0",
                GgufBytes.Small().ChangeEntry(Norm, dimensions: [1UL << 32, 1UL << 32]), "more elements");
            Add("dimensions whose bytes wrap", GgufBytes.Small().ChangeEntry(Norm, dimensions: [1UL << 62]), "more elements");
            Add("dimensions beyond the file", GgufBytes.Small().ChangeEntry(Norm, dimensions: [1UL << 40]), "the file contains");
            foreach (var type in (uint[])[4, 9, 15, 16, 39, 1000, uint.MaxValue])
                Add($"number type {type}", GgufBytes.Small().ChangeEntry(Norm, type: type), $"number type is {type}");
            Add("rows of half a block", GgufBytes.Small().ChangeEntry(Norm, type: 2), "blocks of 32");
            Add("offset not aligned", GgufBytes.Small().ChangeEntry(Norm, offset: 65), "multiple of the alignment 32");
            Add("offset beyond the file", GgufBytes.Small().ChangeEntry(Norm, offset: 1 << 20), "the file contains");
            Add("offset near 2^64", GgufBytes.Small().ChangeEntry(Norm, offset: ulong.MaxValue - 31), "beyond the end");
            Add("offset near 2^63", GgufBytes.Small().ChangeEntry(Norm, offset: (1UL << 62) - 32), "the file contains");
            Add("two tensors over the same bytes", GgufBytes.Small().ChangeEntry(Norm, offset: 0), "overlap");
            Add("two tensors overlap in part", GgufBytes.Small().ChangeEntry(Norm, offset: 32), "overlap");
            Add("a tensor missing", GgufBytes.Small().WithoutTensor(Down), "1 missing");
            Add("a tensor of another layer", GgufBytes.Small().Tensor("blk.1.attn_norm.weight", [4], 0, new byte[16]),
                "contains 2 layers, but the config says 1");
            Add("a bias", GgufBytes.Small().Tensor("blk.0.attn_q.bias", [4], 0, new byte[16]), "1 unexpected");
            Add("a matrix turned round", GgufBytes.Small().ChangeEntry(Down, dimensions: [4, 6]), "wrongly shaped");

            // Config.
            Key("general.architecture", f => f.Without("general.architecture"), "is missing", "missing");
            foreach (var other in (string[])["qwen2moe", "Llama", "", "gemma\n3"])
                Key("general.architecture", f => f.Set("general.architecture", other), "Koala computes llama",
                    $"'{other}'");
            Key("general.architecture", f => f.Set("general.architecture", 1u), "a string is expected", "number");
            foreach (var key in (string[])["context_length", "embedding_length", "block_count", "feed_forward_length",
                "attention.head_count"])
            {
                Key($"llama.{key}", f => f.Without($"llama.{key}"), "is missing", "missing");
                Key($"llama.{key}", f => f.Set($"llama.{key}", 0u), "a whole number from 1", "0");
                Key($"llama.{key}", f => f.Set($"llama.{key}", uint.MaxValue), "a whole number from 1", "largest");
                Key($"llama.{key}", f => f.SetRaw($"llama.{key}", 10, BitConverter.GetBytes(ulong.MaxValue)),
                    "a whole number from 1", "largest of 64 bits");
                Key($"llama.{key}", f => f.SetRaw($"llama.{key}", 5, BitConverter.GetBytes(-4)), "is -4", "negative");
                Key($"llama.{key}", f => f.Set($"llama.{key}", 4f), "a whole number from 1", "fraction");
                Key($"llama.{key}", f => f.Set($"llama.{key}", "4"), "a whole number from 1", "string");
                Key($"llama.{key}", f => f.Set($"llama.{key}", [4]), "a list of 1 values", "list");
            }
            Key("llama.attention.head_count", f => f.Set("llama.attention.head_count", 3u),
                "3 attention heads do not divide", "3");
            Key("llama.attention.head_count", f => f.Set("llama.attention.head_count", 4u), "even width", "4");
            Key("llama.attention.head_count_kv", f => f.Set("llama.attention.head_count_kv", 4u), "does not divide", "4");
            Key("llama.attention.key_length", f => f.Set("llama.attention.key_length", 3u), "even width", "3");
            Key("llama.attention.key_length", f => f.Set("llama.attention.key_length", 1u << 24), "wider than", "largest");
            Key("llama.attention.value_length", f => f.Set("llama.attention.value_length", 4u), "heads are 2 wide", "4");
            Key("llama.rope.dimension_count", f => f.Set("llama.rope.dimension_count", 1u), "heads are 2 wide", "1");
            foreach (var value in (float[])[0, -1, float.NaN, float.PositiveInfinity])
            {
                Key("eps", f => f.Set("llama.attention.layer_norm_rms_epsilon", value), "a finite number above 0", $"{value}");
                Key("rope base", f => f.Set("llama.rope.freq_base", value), "a finite number above 0", $"{value}");
                Key("rope factor", f => f.Set("llama.rope.scaling.factor", value), "a finite number above 0", $"{value}");
            }
            Key("eps", f => f.Set("llama.attention.layer_norm_rms_epsilon", 1f), "below 1", "1");
            Key("rope type", f => f.Set("llama.rope.scaling.type", "longrope"), "is longrope", "longrope");
            GgufBytes Yarn(GgufBytes f) => f.Set("llama.rope.scaling.type", "yarn").Set("llama.rope.scaling.factor", 4f);
            Key("rope type", f => f.Set("llama.rope.scaling.type", "yarn"), "yarn needs it", "yarn without a factor");
            Key("yarn attention", f => Yarn(f).Set("llama.rope.scaling.yarn_attn_factor", 2f), "does not scale attention", "2");
            Key("yarn logarithm", f => Yarn(f).Set("llama.rope.scaling.yarn_log_multiplier", 0.1f), "yarn without it", "0.1");
            Key("yarn bounds", f => Yarn(f).Set("llama.rope.scaling.yarn_beta_slow", 40f), "must be above yarn_beta_slow, 40", "40");
            Key("rope attention factor", f => f.Set("llama.rope.scaling.attn_factor", 2f), "does not scale attention", "2");
            Key("experts", f => f.Set("llama.expert_count", 8u), "one feed-forward part", "8");
            Key("logit scale", f => f.Set("llama.logit_scale", 0.5f), "without it", "0.5");
            Key("logit soft cap", f => f.Set("llama.final_logit_softcapping", 30f), "without it", "30");
            Key("split", f => f.Set("split.count", 3u), "-00001-of-00003.gguf", "3");
            Add("rope divisors of another length", GgufBytes.Small().Tensor("rope_freqs.weight", [2], 0, new byte[8]),
                "1 finite numbers");
            Add("a rope divisor of 0", GgufBytes.Small().Tensor("rope_freqs.weight", [1], 0, new byte[4]), "1 finite numbers");
            Add("a rope divisor that is no number",
                GgufBytes.Small().Tensor("rope_freqs.weight", [1], 0, BitConverter.GetBytes(float.NaN)),
                "1 finite numbers");
            Add("rope divisors beside linear scaling",
                GgufBytes.Small()
                    .Set("llama.rope.scaling.factor", 2f)
                    .Tensor("rope_freqs.weight", [1], 0, BitConverter.GetBytes(1f)),
                "is linear");
            Key("end of sequence", f => f.Set("tokenizer.ggml.eos_token_id", 4u), "below the vocabulary size 4", "4");
            Key("end of turn", f => f.Set("tokenizer.ggml.eot_token_id", uint.MaxValue), "below the vocabulary size 4", "largest");
            Key("begin of sequence", f => f.SetRaw("tokenizer.ggml.bos_token_id", 5, BitConverter.GetBytes(-1)),
                "below the vocabulary size 4", "-1");

            // Tokenizer.
            Key("model", f => f.Set("tokenizer.ggml.model", "t5"), "SentencePiece", "t5");
            Key("model", f => f.Set("tokenizer.ggml.model", "bert"), "is bert", "bert");
            Key("model", f => f.Without("tokenizer.ggml.model"), "is missing", "missing");
            Key("pre", f => f.Set("tokenizer.ggml.pre", "deepseek-llm"), "is deepseek-llm", "deepseek-llm");
            Key("tokens", f => f.Without(Tokens), "is missing", "missing");
            Key("tokens", f => f.Without(Tokens).Without("llama.vocab_size"), "lists 0 tokens", "missing, as is the size");
            Key("tokens", f => f.Set(Tokens, ["a", "b", "ab"]), "lists 3 tokens", "shorter than the size");
            Key("tokens",
                f => f.Set(Tokens, ["a", "b", "ab"])
                    .Without("llama.vocab_size")
                    .Set("tokenizer.ggml.eos_token_id", 1u)
                    .Set(Types, [1, 1, 1]),
                "wrongly shaped", "shorter than the embedding");
            Key("tokens", f => f.Set(Tokens, ["a", "b", "ab", "<e>", "c"]), "lists 5 tokens", "longer than the size");
            Key("tokens", f => f.Set(Tokens, ["a", "b", "ab", "a"]), "which is token 0 already", "one twice");
            Key("tokens", f => f.Set(Tokens, ["a", "b", "ab", ""]), "empty", "a control token empty");
            Key("tokens", f => f.Set(Tokens, [1, 2, 3, 4]), "a list of strings", "numbers");
            Key("tokens",
                f => f.SetRaw(Tokens, 9,
                    GgufBytes.List(8, 4,
                        [.. GgufBytes.Text("a"), 1, 0, 0, 0, 0, 0, 0, 0, 0xFF, .. GgufBytes.Text("ab"),
                            .. GgufBytes.Text("<e>")])),
                "not valid UTF-8", "not UTF-8");
            Key("types", f => f.Without(Types), "is missing", "missing");
            Key("types", f => f.Set(Types, [1, 1, 1]), "lists 3 types", "too few");
            Key("types", f => f.Set(Types, [1, 1, 1, 7]), "is 7", "7");
            Key("types", f => f.Set(Types, [1, 1, 1, -1]), "is -1", "-1");
            Key("types", f => f.Set(Types, ["1", "1", "1", "1"]), "whole numbers", "strings");
            Key("merges", f => f.Without(Merges), "is missing", "missing");
            foreach (var merge in (string[])["ab", "a b c", " a", "a ", ""])
                Key("merges", f => f.Set(Merges, [merge]), "two tokens with a space", $"'{merge}'");
            Key("merges", f => f.Set(Merges, ["b a"]), "'ba' is not in its vocabulary", "of no token");
            Key("add_bos_token", f => f.Set("tokenizer.ggml.add_bos_token", true), "needs it", "without a token");
            Key("add_bos_token", f => f.Set("tokenizer.ggml.add_bos_token", 1u), "true or false", "number");
            Key("add_space_prefix", f => f.Set("tokenizer.ggml.add_space_prefix", true), "byte-level BPE", "true");
            Key("unknown", f => f.Set("tokenizer.chat_template", "x").Set("tokenizer.ggml.unknown_token_id", 9u),
                "below the vocabulary size 4", "9");
            Key("chat template", f => f.Set("tokenizer.chat_template", 1u), "a string is expected", "number");
            Key("chat template", f => f.Set("tokenizer.chat_template", new string('x', (1 << 20) + 1)),
                "at most 1048576", "of a megabyte");
            return data;
        }
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Files), DisableDiscoveryEnumeration = true)]
    public void A_hostile_file_is_one_error_that_names_the_file(string name, byte[] bytes, string fault)
    {
        var path = _folder.At("x.gguf");
        File.WriteAllBytes(path, bytes);
        var e = Assert.Throws<KoalaException>(() => Target.Load(path).Dispose());
        Assert.True(e.Fault.Contains(fault, StringComparison.Ordinal), $"{name}: {e.Message}");
        Assert.StartsWith(path, e.Where);
        Assert.DoesNotContain('\n', e.Message);
        Assert.InRange(e.Message.Length, 0, path.Length + 800);
        Assert.InRange(Allocated(path), 0, bytes.Length + Margin);
    }

    [Fact]
    public void Hostile_files_have_different_names() => Assert.Distinct(Files.Select(f => f.Data.Item1));

    [Fact]
    public void The_valid_file_behind_the_hostile_ones_loads()
    {
        using var scope = NewDisposeScope();
        var path = _folder.At("small.GGUF");
        File.WriteAllBytes(path, GgufBytes.Small().Build());
        using var target = Target.Load(path);
        Assert.Equal("small", target.Name);
        Assert.True(target.Logits(target.States([0, 1, 2])[^1]).isfinite().all().item<bool>());
    }

    [Fact]
    public void Another_alignment_version_2_and_room_between_tensors_are_no_faults()
    {
        var path = _folder.At("x.gguf");
        var file = GgufBytes.Small().Set("general.alignment", 256u);
        (file.Alignment, file.Version) = (256, 2);
        File.WriteAllBytes(path, file.Build());
        using var opened = GgufFile.Open(path);
        using var norm = opened.Read("model.norm.weight", ScalarType.Float32, CPU);
        Assert.Equal([0f, 1, 2, 3], norm.data<float>().ToArray());
    }

    [Fact]
    public void A_fault_names_its_key_or_tensor_and_its_byte()
    {
        var path = _folder.At("x.gguf");
        File.WriteAllBytes(path, GgufBytes.Small().SetRaw("general.architecture", 13, []).Build());
        // Magic number, version and counts take 24 bytes; the key's length and its 20 letters take 28.
        Assert.Equal($"{path}, key 'general.architecture', byte 52",
            Assert.Throws<KoalaException>(() => GgufFile.Open(path)).Where);
        File.WriteAllBytes(path, GgufBytes.Small().ChangeEntry(Norm, type: 9).Build());
        Assert.StartsWith($"{path}, tensor '{Norm}', byte ", Assert.Throws<KoalaException>(() => GgufFile.Open(path)).Where);
    }

    [Fact]
    public void Every_truncation_is_an_error()
    {
        var bytes = GgufBytes.Small().Build();
        var path = _folder.At("x.gguf");
        for (var length = 0; length < bytes.Length; length++)
        {
            Mutations.Write(path, bytes[..length]);
            Assert.StartsWith(path, Assert.Throws<KoalaException>(() => GgufFile.Open(path)).Where);
        }
    }

    [Fact]
    public void A_file_that_becomes_shorter_while_it_is_open_is_one_error()
    {
        var path = _folder.At("x.gguf");
        File.WriteAllBytes(path, GgufBytes.Small().Build());
        using var file = GgufFile.Open(path);
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) stream.SetLength(100);
        Assert.Contains("shorter",
            Assert.Throws<KoalaException>(() => file.Read("model.norm.weight", ScalarType.Float32, CPU)).Fault);
    }

    [Fact]
    public void A_missing_tensor_is_one_error()
    {
        var path = _folder.At("x.gguf");
        File.WriteAllBytes(path, GgufBytes.Small().Build());
        using var file = GgufFile.Open(path);
        Assert.Contains("contains no tensor 'output_norm.weight'",
            Assert.Throws<KoalaException>(() => file.Read(Norm, ScalarType.Float32, CPU)).Fault);
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Random_mutations_are_a_model_or_one_error_and_take_little_memory()
    {
        using var scope = NewDisposeScope();
        var random = new Random(Seed);
        var valid = GgufBytes.Small().Build();
        var path = _folder.At("x.gguf");
        var (opened, refused) = (0, 0);
        Mutations.Write(path, valid);
        Allocated(path);
        for (var i = 0; i < Mutations.Count; i++)
        {
            var bytes = Mutate(valid, random);
            Mutations.Write(path, bytes);
            try
            {
                Assert.InRange(Allocated(path), 0, bytes.Length + Margin);
                if (Opens(path)) opened++;
                else refused++;
            }
            catch (Exception e) when (e is not KoalaException)
            {
                throw new InvalidOperationException($"seed {Seed}, mutation {i}: {Convert.ToHexString(bytes)}", e);
            }
        }
        Assert.InRange(opened, Mutations.Count / 100, Mutations.Count);
        Assert.InRange(refused, Mutations.Count / 4, Mutations.Count);
    }

    private static bool Opens(string path)
    {
        try
        {
            using var file = GgufFile.Open(path);
            foreach (var name in file.Tensors.Keys) file.Read(name, ScalarType.Float32, CPU).Dispose();
            Tokenizer.Load(path).Encode("ab<e>");
            return true;
        }
        catch (KoalaException)
        {
            return false;
        }
    }

    private static byte[] Mutate(byte[] valid, Random random)
    {
        List<byte> bytes = [.. valid];
        for (var n = random.Next(1, 4); n > 0 && bytes.Count > 1; n--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: bytes.Insert(at, (byte)random.Next(256)); break;
                case 3: bytes.RemoveAt(at); break;
                case 4: bytes.RemoveRange(at, bytes.Count - at); break;
                // A count, a length or an offset becomes an extreme value.
                default:
                    var value = BitConverter.GetBytes(random.Next(4) switch
                    {
                        0 => ulong.MaxValue,
                        1 => 1UL << random.Next(64),
                        2 => uint.MaxValue,
                        _ => 0UL,
                    });
                    for (var i = 0; i < value.Length && at + i < bytes.Count; i++) bytes[at + i] = value[i];
                    break;
            }
        }
        return [.. bytes];
    }

    private static byte[] Patched(int at, byte[] patch)
    {
        var bytes = GgufBytes.Small().Build();
        patch.CopyTo(bytes, at);
        return bytes;
    }

    // The managed memory that opening takes, including the error.
    private static long Allocated(string path)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            GgufFile.Open(path).Dispose();
        }
        catch (KoalaException)
        {
            // This test asks for the memory only.
        }
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
