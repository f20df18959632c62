using System.Text.Json;
using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Tests.Checkpoints;
using Koala.Lab.Tests.Targets;
using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Text;

public sealed class GgufTokenizerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("koala-nano")]
    [InlineData("koala-mini")]
    public void The_shipped_targets_as_gguf_give_the_recorded_ids(string name) =>
        AssertRecorded(Load(GgufConversion.Of(ShippedModels.Folder(name), ScalarType.BFloat16)),
            TestFiles.Unpacked("src", "Koala.Lab.Tests", "Text", "files", "tokens.json.gz"), name);

    [Fact]
    public void SmolLm_gives_the_recorded_ids() => AssertRecorded(
        Tokenizer.Load(SharedFiles.At("models", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf")),
        File.ReadAllText(SharedFiles.At("golden", "tokens.json")), "smollm2-135m-instruct");

    [Fact]
    public void Gpt2_as_gguf_and_as_a_folder_gives_the_recorded_ids()
    {
        var recorded = TestFiles.Unpacked("src", "Koala.Lab.Tests", "Text", "files", "gpt2-tokens.json.gz");
        WriteGpt2Folder(_folder.Path);
        AssertRecorded(Tokenizer.Load(_folder.Path), recorded, "gpt2");
        var file = GgufBytes.Small().Set("llama.vocab_size", 50257u);
        GgufConversion.AddTokenizer(file, _folder.Path, 50257, "gpt-2");
        AssertRecorded(Load(file), recorded, "gpt2");
    }

    [Fact]
    public void Control_tokens_are_special_and_user_defined_ones_are_not()
    {
        var tokenizer = Load(Small(["a", "b", "<u>", "<c>", "[PAD]"], [1, 1, 4, 3, 5]));
        Assert.Equal([0, 2, 3, 1], tokenizer.Encode("a<u><c>b"));
        Assert.Equal((false, true), (tokenizer.IsSpecial(2), tokenizer.IsSpecial(3)));
        Assert.Equal("a<u>b", tokenizer.Decode([0, 2, 3, 4, 1], skipSpecialTokens: true));
        Assert.Null(tokenizer.IdOf("[PAD]"));
    }

    [Fact]
    public void The_begin_and_end_of_sequence_surround_a_text_where_the_file_says_so()
    {
        GgufBytes File() =>
            Small(["a", "b", "<s>", "</s>"], [1, 1, 3, 3])
                .Set("tokenizer.ggml.bos_token_id", 2u)
                .Set("tokenizer.ggml.eos_token_id", 3u);
        Assert.Equal([0], Load(File()).Encode("a", addSpecialTokens: true));
        Assert.Equal([2, 0], Load(File().Set("tokenizer.ggml.add_bos_token", true)).Encode("a", addSpecialTokens: true));
        Assert.Equal([2, 0, 3],
            Load(File().Set("tokenizer.ggml.add_bos_token", true).Set("tokenizer.ggml.add_eos_token", true))
                .Encode("a", addSpecialTokens: true));
        Assert.Equal([2, 0], Load(File().Set("tokenizer.ggml.pre", "llama-bpe")).Encode("a", addSpecialTokens: true));
        Assert.Equal([0],
            Load(File().Set("tokenizer.ggml.pre", "llama-bpe").Set("tokenizer.ggml.add_bos_token", false))
                .Encode("a", addSpecialTokens: true));
        Assert.Equal([0], Load(File().Set("tokenizer.ggml.add_bos_token", true)).Encode("a"));
    }

    [Theory]
    [InlineData("gpt-2", "don't 123", "don|'t| 123")]
    [InlineData("gpt-2", "A'S  \n x", "A|'|S|  \n| x")]
    [InlineData("smollm", "a 123\n\nb", "a| |1|2|3|\n|\n|b")]
    [InlineData("starcoder", "a12", "a|1|2")]
    [InlineData("refact", "a12", "a|1|2")]
    [InlineData("command-r", "a12", "a|1|2")]
    [InlineData("default", "x= 12345!", "x|=| |123|45|!")]
    [InlineData(null, "x= 12345!", "x|=| |123|45|!")]
    [InlineData("llama-bpe", "I'LL 12345(ab)  c\n\n d", "I|'LL| |123|45|(ab|)| | c|\n\n| d")]
    [InlineData("qwen2", "I'Ll 123", "I|'Ll| |1|2|3")]
    public void Text_is_cut_as_the_pre_tokenizer_named_cuts_it(string? pre, string text, string pieces)
    {
        var file = GgufBytes.Small().Without("tokenizer.ggml.pre");
        if (pre is not null) file.Set("tokenizer.ggml.pre", pre);
        File.WriteAllBytes(_folder.At("x.gguf"), file.Build());
        using var opened = GgufFile.Open(_folder.At("x.gguf"));
        Assert.Equal(pieces,
            string.Join('|',
                new PreTokenizer([.. GgufPreTokenizers.Find(opened.Metadata).Steps.Select(step => new PieceStep(step))], "")
                    .Pieces(text, TextPosition.Start)));
    }

    [Fact]
    public void Qwen2_composes_text_first() =>
        Assert.Equal([2],
            Load(Small(["Ã", "©", "Ã©"], [1, 1, 1], ["Ã ©"]).Set("tokenizer.ggml.pre", "qwen2")).Encode("e\u0301"));

    [Fact]
    public void Llama_3s_whole_words_ignore_merges()
    {
        // "abc" is a token that no merges produce.
        GgufBytes File(string pre) =>
            Small(["a", "b", "c", "ab", "abc"], [1, 1, 1, 1, 1], ["a b"]).Set("tokenizer.ggml.pre", pre);
        Assert.Equal([4], Load(File("llama-bpe").Set("tokenizer.ggml.add_bos_token", false)).Encode("abc"));
        Assert.Equal([3, 2], Load(File("gpt-2")).Encode("abc"));
    }

    [Fact]
    public void The_chat_template_gets_the_files_tokens()
    {
        var file = Small(["a", "<s>", "</s>", "<u>", "<p>"], [1, 3, 3, 3, 3])
            .Set("tokenizer.ggml.bos_token_id", 1u)
            .Set("tokenizer.ggml.eos_token_id", 2u)
            .Set("tokenizer.ggml.unknown_token_id", 3u).Set("tokenizer.ggml.padding_token_id", 4u)
            .Set("tokenizer.chat_template",
                "{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}{{ unk_token }}{{ pad_token }}");
        Assert.Equal("<s>a</s><u><p>", Load(file).ChatTemplate!.Render([new(Message.User, "a")], addGenerationPrompt: true));
        Assert.Null(Load(Small(["a"], [1])).ChatTemplate);
    }

    [Fact]
    public void The_hash_changes_with_whatever_decides_what_a_text_becomes()
    {
        GgufBytes File() =>
            Small(["a", "b", "ab", "<s>"], [1, 1, 1, 3], ["a b"])
                .Set("tokenizer.ggml.bos_token_id", 3u)
                .Set("tokenizer.chat_template", "x");
        GgufBytes[] files =
        [
            File(), File().Set("tokenizer.ggml.pre", "smollm"),
            File().Set("tokenizer.ggml.tokens", ["b", "a", "ab", "<s>"]),
            File().Set("tokenizer.ggml.token_type", [1, 1, 1, 4]),
            File().Set("tokenizer.ggml.merges", System.Array.Empty<string>()),
            File().Set("tokenizer.ggml.add_bos_token", true), File().Set("tokenizer.chat_template", "y"),
            File().Without("tokenizer.ggml.bos_token_id"),
        ];
        Assert.Distinct(files.Select(f => Load(f).Hash));
        Assert.Equal(Load(File()).Hash, Load(File().Set("general.name", "another")).Hash);
    }

    private static GgufBytes Small(string[] tokens, int[] types, string[]? merges = null) =>
        GgufBytes.Small().Without("tokenizer.ggml.eos_token_id").Set("llama.vocab_size", (uint)tokens.Length)
        .Set("tokenizer.ggml.tokens", tokens)
        .Set("tokenizer.ggml.token_type", types)
        .Set("tokenizer.ggml.merges", merges ?? []);

    private Tokenizer Load(GgufBytes file)
    {
        var path = _folder.At("x.gguf");
        File.WriteAllBytes(path, file.Build());
        return Tokenizer.Load(path);
    }

    private static void AssertRecorded(Tokenizer tokenizer, string recorded, string name)
    {
        using var document = JsonDocument.Parse(recorded);
        var examples = document.RootElement.GetProperty("tokenizers").GetProperty(name);
        Assert.Equal(40, examples.GetArrayLength());
        foreach (var example in examples.EnumerateArray())
        {
            int[] ids = [.. example.GetProperty("ids").EnumerateArray().Select(x => x.GetInt32())];
            Assert.Equal(ids, tokenizer.Encode(example.GetProperty("text").GetString()!));
            Assert.Equal(example.GetProperty("decoded").GetString(), tokenizer.Decode(ids));
        }
    }

    // The vocabulary that follows from the merges: the 256 byte characters, then one token per merge, then the special
    // token.
    private static void WriteGpt2Folder(string folder)
    {
        var text = TestFiles.Unpacked("src", "Koala.Lab.Tests", "Text", "files", "gpt2-merges.txt.gz");
        string[] merges = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        bool IsItself(int b) => b is >= 0x21 and <= 0x7e or >= 0xa1 and <= 0xac or >= 0xae;
        string[] tokens =
        [
            .. Enumerable.Range(0, 256).Where(IsItself).Select(b => $"{(char)b}"),
            .. Enumerable.Range(0, 256 - Enumerable.Range(0, 256).Count(IsItself)).Select(i => $"{(char)(256 + i)}"),
            .. merges.Select(m => m.Replace(" ", "", StringComparison.Ordinal)), "<|endoftext|>",
        ];
        Assert.Equal((50_000, 50_257), (merges.Length, tokens.Length));
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"),
            """{"bos_token":"<|endoftext|>","eos_token":"<|endoftext|>"}""");
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), JsonSerializer.Serialize(new
        {
            added_tokens = new[] { new { id = 50256, content = "<|endoftext|>", special = true, normalized = false } },
            pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, use_regex = true },
            decoder = new { type = "ByteLevel" },
            model = new { type = "BPE", vocab = tokens.Select((t, i) => (t, i)).ToDictionary(p => p.t, p => p.i), merges },
        }));
    }
}
