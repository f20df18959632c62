using System.Text.Json.Nodes;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Text;

/// <summary>A small tokenizer.json with changed parts.</summary>
public sealed class TokenizerFileTests
{
    private const string Small = """
        {
          "added_tokens": [
            {"id": 6, "content": "<s>", "special": true, "normalized": false},
            {"id": 7, "content": "<w>", "special": false, "single_word": true, "lstrip": true, "rstrip": true, "normalized": true}
          ],
          "normalizer": null,
          "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
          "post_processor": {"type": "Sequence", "processors": [
            {"type": "ByteLevel"},
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
             "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}}}]},
          "decoder": {"type": "ByteLevel"},
          "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "\u0120": 5}, "merges": ["a b", ["ab", "c"]]}
        }
        """;

    private static Tokenizer Load(string text)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("tokenizer.json"), text);
        return Tokenizer.Load(folder.Path);
    }

    private static string With(string path, string json)
    {
        var root = JsonNode.Parse(Small)!;
        var keys = path.Split('/');
        var node = keys[..^1].Aggregate(root, (n, key) => int.TryParse(key, out var i) ? n[i]! : n[key]!);
        if (json == "absent") node.AsObject().Remove(keys[^1]);
        else if (int.TryParse(keys[^1], out var at)) node[at] = JsonNode.Parse(json);
        else node[keys[^1]] = JsonNode.Parse(json);
        return root.ToJsonString();
    }

    [Fact]
    public void Text_becomes_merged_and_added_tokens()
    {
        var tokenizer = Load(Small);
        Assert.Equal(8, tokenizer.VocabularySize);
        Assert.Equal([4, 3, 0, 6, 2], tokenizer.Encode("abcaba<s>c"));
        Assert.Equal([6, 0], tokenizer.Encode("a", addSpecialTokens: true));
        Assert.Equal([0, 7, 1], tokenizer.Encode("a <w>  b"));
        Assert.Equal("a<s>", tokenizer.Decode([0, 6]));
        Assert.Equal("a", tokenizer.Decode([0, 6], skipSpecialTokens: true));
        Assert.Equal((6, 5, null), (tokenizer.IdOf("<s>"), tokenizer.IdOf("Ġ"), tokenizer.IdOf("x")));
        Assert.True(tokenizer.IsSpecial(6));
        Assert.False(tokenizer.IsSpecial(7));
        Assert.Null(tokenizer.ChatTemplate);
        Assert.Throws<KoalaException>(() => tokenizer.EncodeChat([new("user", "a")]));
        Assert.Throws<KoalaException>(() => tokenizer.Decode([-1]));
    }

    [Fact]
    public void A_piece_that_is_a_token_is_one_token_where_merges_are_ignored()
    {
        var unreachable = With("model/merges", """["b c"]""").Replace("\"abc\":4", "\"abc\":4,\"bc\":8");
        Assert.Equal([0, 8], Load(unreachable).Encode("abc"));
        Assert.Equal([4], Load(unreachable.Replace("\"BPE\"", "\"BPE\",\"ignore_merges\":true")).Encode("abc"));
    }

    [Theory]
    [InlineData("Isolated", "a|c|b")]
    [InlineData("Removed", "a|b")]
    [InlineData("MergedWithPrevious", "ac|b")]
    [InlineData("MergedWithNext", "a|cb")]
    public void Split_does_what_its_behaviour_says(string behaviour, string pieces)
    {
        var tokenizer = Load(With("pre_tokenizer", $$"""
            {"type": "Sequence", "pretokenizers": [
             {"type": "Split", "pattern": {"String": "c"}, "behavior": "{{behaviour}}", "invert": false},
             {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}
            """).Replace("[\"ab\",\"c\"]", "\"a c\",\"c b\"").Replace("\"abc\":4", "\"ac\":4,\"cb\":8"));
        Assert.Equal(pieces, string.Join('|', tokenizer.Encode("acb").Select(id => tokenizer.Decode([id]))));
    }

    [Fact]
    public void A_prefix_space_is_added_where_the_file_asks_for_it() =>
        Assert.Equal([5, 0], Load(With("pre_tokenizer/add_prefix_space", "true")).Encode("a"));

    [Theory]
    [InlineData("model", "absent", "model")]
    [InlineData("model", "3", "model")]
    [InlineData("model/type", "\"Unigram\"", "model.type")]
    [InlineData("model/vocab", "[]", "model.vocab")]
    [InlineData("model/vocab", "{}", "vocabulary")]
    [InlineData("model/vocab/a", "\"x\"", "model.vocab.a")]
    [InlineData("model/vocab/a", "1", "both")]
    [InlineData("model/vocab/a", "-1", "-1")]
    [InlineData("model/vocab/a", "2000000000", "2000000000")]
    [InlineData("model/vocab/a", "3000000000", "model.vocab.a")]
    [InlineData("model/merges", "3", "model.merges")]
    [InlineData("model/merges/0", "\"a\"", "model.merges[0]")]
    [InlineData("model/merges/0", "\"a b c\"", "model.merges[0]")]
    [InlineData("model/merges/0", "[\"a\", 3]", "model.merges[0]")]
    [InlineData("model/merges/0", "\"a x\"", "'x'")]
    [InlineData("model/merges/0", "\"b a\"", "'ba'")]
    [InlineData("model/byte_fallback", "true", "model.byte_fallback")]
    [InlineData("model/dropout", "0.1", "model.dropout")]
    [InlineData("model/end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix")]
    [InlineData("normalizer", "{\"type\": \"Lowercase\"}", "normalizer.type is 'Lowercase'|normalizer.type: is 'Lowercase'")]
    [InlineData("pre_tokenizer", "null", "pre_tokenizer")]
    [InlineData("pre_tokenizer/type", "\"Metaspace\"", "pre_tokenizer.type")]
    [InlineData("pre_tokenizer", "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}, \"behavior\": \"Isolated\"}",
        "pre_tokenizer.pattern")]
    [InlineData("pre_tokenizer", "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"a\"}, \"behavior\": \"1\"}",
        "pre_tokenizer.behavior")]
    [InlineData("pre_tokenizer",
        "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"ByteLevel\"}, {\"type\": \"Digits\"}]}",
        "pre_tokenizer.pretokenizers[1]")]
    [InlineData("post_processor", "{\"type\": \"BertProcessing\"}", "post_processor.type")]
    [InlineData("post_processor/processors/1/special_tokens", "{}", "special_tokens")]
    [InlineData("post_processor/processors/1/single", "[]", "single")]
    [InlineData("decoder", "null", "decoder")]
    [InlineData("decoder/type", "\"WordPiece\"", "decoder.type")]
    [InlineData("added_tokens", "{}", "added_tokens")]
    [InlineData("added_tokens/0", "3", "added_tokens[0]")]
    [InlineData("added_tokens/0/id", "absent", "added_tokens[0].id")]
    [InlineData("added_tokens/0/id", "0", "both")]
    [InlineData("added_tokens/0/id", "1.5", "added_tokens[0].id")]
    [InlineData("added_tokens/0/content", "\"\"", "empty")]
    [InlineData("added_tokens/0/special", "1", "added_tokens[0].special")]
    public void An_unsupported_tokenizer_is_one_error_that_names_the_field(string path, string json, string named)
    {
        var error = Assert.Throws<KoalaException>(() => Load(With(path, json)));
        Assert.Contains(named.Split('|'), part => error.Message.Contains(part, StringComparison.Ordinal));
        Assert.Contains("tokenizer.json", error.Where);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void A_truncated_or_missing_file_is_one_error()
    {
        for (var length = 0; length < Small.Length - 1; length += 37)
            Assert.Throws<KoalaException>(() => Load(Small[..length]));
        using var folder = new TemporaryFolder();
        Assert.Throws<KoalaException>(() => Tokenizer.Load(folder.Path));
    }

    [Fact]
    public void A_pattern_that_backtracks_without_end_is_one_error()
    {
        var tokenizer = Load(With("pre_tokenizer", """
            {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"},
             {"type": "ByteLevel", "add_prefix_space": false}]}
            """));
        Assert.Contains("pre_tokenizer",
            Assert.Throws<KoalaException>(() => tokenizer.Encode(new string('a', 60) + "b")).Where);
    }

    [Fact]
    public void Letters_beyond_the_basic_plane_are_letters() =>
        Assert.Equal(["𝔘𝔫𝔦", "!!", " 𐐀𐐨", "𓀀"],
            new PreTokenizer([new SplitStep(PreTokenizer.Gpt2Pattern, SplitBehaviour.Isolated)], false, "")
                .Pieces("𝔘𝔫𝔦!! 𐐀𐐨" + "\U0001D7D8𓀀")
                .Where(p => p != "\U0001D7D8"));
}
