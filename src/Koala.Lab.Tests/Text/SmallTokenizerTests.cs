using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Koala.Lab.Tests.Checkpoints;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Text;

/// <summary>
/// Tokenizers over characters in the forms that published models have, against what SentencePiece and Hugging Face's library make of the
/// same texts. <c>files/small-tokenizers.py</c> makes and records them.
/// </summary>
public sealed class SmallTokenizerTests : IDisposable
{
    private static readonly JsonNode s_recorded = Read();
    private static readonly string[] s_texts = [.. s_recorded["texts"]!.AsArray().Select(text => (string)text!)];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Kinds => [.. s_recorded["kinds"]!.AsObject().Select(kind => kind.Key)];

    /// <summary>The bytes of a SentencePiece model.</summary>
    internal static byte[] Model(string kind) => Convert.FromBase64String((string)s_recorded["models"]![kind]!["model"]!);

    [Theory, MemberData(nameof(Kinds))]
    public void Tokenizer_json_gives_the_recorded_ids_and_texts(string kind) =>
        AssertRecorded(Load(kind), s_recorded["kinds"]![kind]!);

    [Theory, InlineData("bpe"), InlineData("unigram"), InlineData("mapped")]
    public void A_sentencepiece_model_gives_the_recorded_ids_and_texts(string kind)
    {
        var recorded = s_recorded["models"]![kind]!;
        File.WriteAllBytes(_folder.At("tokenizer.model"), Model(kind));
        // Of spaces in a row the unigram model removes all but one, but not where the text has the mark of a space.
        AssertRecorded(Tokenizer.Load(_folder.Path), recorded,
            text => WithoutNamesOfControlTokens(text) && (kind == "bpe" || !text.Contains('▁')));
    }

    [Fact]
    public void A_sentencepiece_model_in_a_gguf_file_gives_the_same()
    {
        var recorded = s_recorded["models"]!["bpe"]!;
        var pieces = SentencePieceFile.Read(Model("bpe"), "tokenizer.model").Pieces;
        var file = GgufBytes.Small().Set("llama.vocab_size", (uint)pieces.Count)
            .Without("tokenizer.ggml.pre").Without("tokenizer.ggml.merges")
            .Set("tokenizer.ggml.model", "llama")
            .Set("tokenizer.ggml.tokens", pieces.Select(piece => piece.Text).ToArray())
            .Set("tokenizer.ggml.scores", pieces.Select(piece => piece.Score).ToArray())
            .Set("tokenizer.ggml.token_type", pieces.Select(piece => (int)piece.Kind).ToArray())
            .Set("tokenizer.ggml.bos_token_id", 1u).Set("tokenizer.ggml.eos_token_id", 2u);
        File.WriteAllBytes(_folder.At("x.gguf"), file.Build());
        var tokenizer = Tokenizer.Load(_folder.At("x.gguf"));
        // A file of this kind looks for the maker's tokens, one of which is ▁▁, before it marks spaces.
        AssertRecorded(tokenizer, recorded, text => WithoutNamesOfControlTokens(text) && !$" {text}".Replace('▁', ' ').Contains("  "));
        Assert.Equal([1, .. tokenizer.Encode("a")], tokenizer.Encode("a", addSpecialTokens: true));
    }

    [Fact]
    public void SentencePieces_recorded_tokenizer_gives_the_recorded_ids()
    {
        File.Copy(SharedFiles.At("golden", "sentencepiece-small.model"), _folder.At("tokenizer.model"));
        using var recorded = JsonDocument.Parse(File.ReadAllText(SharedFiles.At("golden", "tokens.json")));
        var tokenizer = Tokenizer.Load(_folder.Path);
        foreach (var example in recorded.RootElement.GetProperty("tokenizers").GetProperty("sentencepiece-small").EnumerateArray())
        {
            int[] ids = [.. example.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.Equal(ids, tokenizer.Encode(example.GetProperty("text").GetString()!));
            Assert.Equal(example.GetProperty("decoded").GetString(), tokenizer.Decode(ids));
        }
    }

    [Theory, InlineData("llama"), InlineData("gemma"), InlineData("metaspace-first"), InlineData("unigram")]
    public void Streaming_any_ids_gives_their_text(string kind)
    {
        var tokenizer = Load(kind);
        Gen.Int[0, tokenizer.VocabularySize].Array[0, 30].Sample(ids =>
        {
            var stream = new StreamingDetokenizer(tokenizer);
            return string.Concat(ids.Select(stream.Append)) + stream.Flush() == tokenizer.Decode(ids, skipSpecialTokens: true);
        }, iter: 300);
    }

    [Fact]
    public void A_character_of_several_byte_tokens_comes_out_with_its_last_byte()
    {
        var tokenizer = Load("llama");
        int[] bytes = [.. "🐨"u8.ToArray().Select(value => tokenizer.IdOf($"<0x{value:X2}>")!.Value)];
        var stream = new StreamingDetokenizer(tokenizer);
        Assert.Equal(["", "", "", "🐨"], bytes.Select(stream.Append));
        Assert.Equal("", stream.Flush());
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_text_in_two_parts_gets_no_second_space(string kind)
    {
        var tokenizer = Load(kind);
        foreach (var (first, second) in (ReadOnlySpan<(string, string)>)[("He said:", " it is so"), ("[x]", "[y]"), ("end</s>", "next")])
        {
            var before = tokenizer.Encode(first);
            Assert.Equal(tokenizer.Decode(tokenizer.Encode(first + second)),
                tokenizer.Decode([.. before, .. tokenizer.EncodeAfter(second, before[^1])]));
        }
    }

    [Fact]
    public void The_text_of_a_token_keeps_the_space_that_decoding_drops()
    {
        var tokenizer = Load("llama");
        var id = tokenizer.Encode("the")[0];
        Assert.Equal(("the", " the"), (tokenizer.Decode([id]), tokenizer.TextOf(id)));
    }

    [Theory]
    [InlineData("{\"legacy\": false}", "</s>a", "a")]
    [InlineData("{}", "</s>a", "▁a")]
    [InlineData("{\"add_prefix_space\": false}", "a", "a")]
    public void Tokenizer_config_decides_where_a_sentencepiece_model_puts_spaces(string config, string text, string last)
    {
        File.WriteAllBytes(_folder.At("tokenizer.model"), Model("bpe"));
        File.WriteAllText(_folder.At("tokenizer_config.json"), config);
        var tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Equal(tokenizer.IdOf(last), tokenizer.Encode(text)[^1]);
    }

    [Fact]
    public void A_damaged_sentencepiece_model_is_one_error()
    {
        var bytes = Model("bpe");
        void Check(byte[] changed)
        {
            try
            {
                SentencePieceFile.Read(changed, "tokenizer.model").Encoder();
            }
            catch (KoalaException e)
            {
                Assert.StartsWith("tokenizer.model", e.Where);
                Assert.DoesNotContain('\n', e.Message);
            }
        }
        for (var length = 0; length < bytes.Length; length += 191) Check(bytes[..length]);
        var random = new Random(1);
        for (var i = 0; i < 300; i++)
        {
            byte[] changed = [.. bytes];
            changed[random.Next(changed.Length)] = (byte)random.Next(256);
            Check(changed);
        }
        Assert.Throws<KoalaException>(() => SentencePieceFile.Read([], "tokenizer.model"));
    }

    private static bool WithoutNamesOfControlTokens(string text) =>
        !text.Contains("<s>") && !text.Contains("</s>") && !text.Contains("<unk>");

    private Tokenizer Load(string kind)
    {
        var patch = s_recorded["kinds"]![kind]!.AsObject();
        var file = FileOf(kind is "unigram" or "precompiled" ? "unigram" : "bpe");
        foreach (var key in (ReadOnlySpan<string>)["normalizer", "pre_tokenizer", "decoder"]) file[key] = patch[key]?.DeepClone();
        if (patch["model"] is { } model)
            foreach (var (key, value) in model.AsObject()) file["model"]![key] = value!.DeepClone();
        if (patch["added"] is { } added)
            foreach (var token in added.AsArray()) file["added_tokens"]!.AsArray().Add(token!.DeepClone());
        File.WriteAllText(_folder.At("tokenizer.json"), file.ToJsonString());
        return Tokenizer.Load(_folder.Path);
    }

    // A tokenizer.json over the pieces of a model, as the script makes it.
    private static JsonObject FileOf(string model)
    {
        var pieces = SentencePieceFile.Read(Model(model), "tokenizer.model").Pieces;
        var normal = pieces.Where(piece => piece.Kind == PieceKind.Normal).ToDictionary(piece => piece.Text, piece => piece.Score);
        var merges = normal.Keys
            .SelectMany(piece => Enumerable.Range(1, piece.Length - 1)
                .Select(cut => (Piece: piece, Left: piece[..cut], Right: piece[cut..])))
            .Where(merge => normal.ContainsKey(merge.Left) && normal.ContainsKey(merge.Right))
            .OrderByDescending(merge => normal[merge.Piece]).Select(merge => $"{merge.Left} {merge.Right}");
        JsonObject bpe = new()
        {
            ["type"] = "BPE", ["unk_token"] = "<unk>", ["fuse_unk"] = true, ["byte_fallback"] = true,
            ["vocab"] = new JsonObject(pieces.Select((piece, id) => KeyValuePair.Create(piece.Text, (JsonNode?)id))),
            ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)merge)]),
        };
        JsonObject unigram = new()
        {
            ["type"] = "Unigram", ["unk_id"] = 0, ["byte_fallback"] = true,
            ["vocab"] = new JsonArray([.. pieces.Select(piece => new JsonArray(piece.Text, piece.Score))]),
        };
        JsonArray added = [.. ((ReadOnlySpan<string>)["<unk>", "<s>", "</s>"]).ToArray().Select((token, id) =>
            new JsonObject { ["id"] = id, ["content"] = token, ["special"] = true, ["normalized"] = false })];
        return new JsonObject { ["added_tokens"] = added, ["model"] = model == "bpe" ? bpe : unigram };
    }

    private static void AssertRecorded(Tokenizer tokenizer, JsonNode recorded, Func<string, bool>? isCompared = null)
    {
        var compared = 0;
        for (var i = 0; i < s_texts.Length; i++)
        {
            if (isCompared?.Invoke(s_texts[i]) == false) continue;
            int[] ids = [.. recorded["ids"]![i]!.AsArray().Select(id => (int)id!)];
            Assert.Equal((s_texts[i], string.Join(' ', ids)), (s_texts[i], string.Join(' ', tokenizer.Encode(s_texts[i]))));
            Assert.Equal((string?)recorded["decoded"]![i] ?? s_texts[i], tokenizer.Decode(ids, skipSpecialTokens: true));
            compared++;
        }
        Assert.True(compared > 15);
    }

    private static JsonNode Read() =>
        JsonNode.Parse(TestFiles.Unpacked("src", "Koala.Lab.Tests", "Text", "files", "small-tokenizers.json.gz"))!;
}
