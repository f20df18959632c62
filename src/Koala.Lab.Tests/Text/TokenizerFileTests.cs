using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints;
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
    [InlineData("model/type", "\"WordPiece\"", "model.type")]
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
    [InlineData("model/dropout", "0.1", "model.dropout")]
    [InlineData("model/end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix")]
    [InlineData("normalizer", "{\"type\": \"Nmt\"}", "normalizer.type: is 'Nmt'")]
    [InlineData("pre_tokenizer", "null", "pre_tokenizer")]
    [InlineData("pre_tokenizer/type", "\"Metaspace\"", "pre_tokenizer: does not contain ByteLevel")]
    [InlineData("pre_tokenizer/type", "\"BertPreTokenizer\"", "pre_tokenizer.type")]
    [InlineData("pre_tokenizer", "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}, \"behavior\": \"Isolated\"}",
        "pre_tokenizer.pattern")]
    [InlineData("pre_tokenizer", "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"a\"}, \"behavior\": \"1\"}",
        "pre_tokenizer.behavior")]
    [InlineData("pre_tokenizer",
        "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"ByteLevel\"}, {\"type\": \"Digits\"}]}",
        "pre_tokenizer.pretokenizers[1]")]
    [InlineData("post_processor", "{\"type\": \"BertProcessing\"}", "post_processor.cls")]
    [InlineData("post_processor/processors/1/special_tokens", "{}", "special_tokens")]
    [InlineData("post_processor/processors/1/single", "[]", "single")]
    [InlineData("decoder", "null", "decoder")]
    [InlineData("decoder/type", "\"WordPiece\"", "decoder.type")]
    [InlineData("decoder", "{\"type\": \"Sequence\", \"decoders\": []}", "decoder")]
    [InlineData("decoder", "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"ByteLevel\"}]}", "'ByteLevel'")]
    [InlineData("normalizer", "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Nmt\"}]}",
        "normalizer.normalizers[0].type: is 'Nmt'")]
    [InlineData("normalizer", "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAAA\"}", "is no table of replaced characters")]
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

    [Theory]
    [InlineData("normalizer", """{"type": "Sequence", "normalizers": []}""")]
    [InlineData("normalizer", """{"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{"type": "NFC"}]}]}""")]
    [InlineData("normalizer", """{"type": "Prepend", "prepend": ""}""")]
    [InlineData("normalizer", """{"type": "Strip", "strip_left": false, "strip_right": false}""")]
    [InlineData("normalizer", """{"type": "Replace", "pattern": {"String": "zzz"}, "content": "y"}""")]
    [InlineData("pre_tokenizer", """
        {"type": "Sequence", "pretokenizers": [{"type": "Sequence", "pretokenizers": []},
         {"type": "ByteLevel", "add_prefix_space": false}, {"type": "Sequence", "pretokenizers": []}]}
        """)]
    [InlineData("post_processor", """{"type": "Sequence", "processors": [{"type": "Sequence", "processors": []}]}""")]
    [InlineData("decoder", """{"type": "Sequence", "decoders": [{"type": "Sequence", "decoders": [{"type": "ByteLevel"}]}]}""")]
    [InlineData("decoder", """
        {"type": "Sequence", "decoders": [{"type": "Strip", "content": " ", "start": 0, "stop": 0},
         {"type": "Replace", "pattern": {"String": "a"}, "content": "a"}, {"type": "ByteLevel"}, {"type": "Fuse"}]}
        """)]
    public void Sequences_and_steps_that_change_nothing_leave_the_tokens_as_they_are(string path, string json)
    {
        var tokenizer = Load(With(path, json));
        Assert.Equal([4, 3, 0, 6, 2], tokenizer.Encode("abcaba<s>c"));
        Assert.Equal("abcaba<s>c", tokenizer.Decode([4, 3, 0, 6, 2]));
    }

    [Theory]
    [InlineData("""{"type": "Lowercase"}""", "ABC", "abc")]
    [InlineData("""{"type": "NFD"}""", "\u00e5", "a\u030a")]
    [InlineData("""{"type": "Prepend", "prepend": "b"}""", "a", "ba")]
    [InlineData("""{"type": "Strip", "strip_left": true, "strip_right": false}""", " a ", "a ")]
    [InlineData("""{"type": "Strip", "strip_left": false, "strip_right": true}""", " a ", " a")]
    [InlineData("""{"type": "Replace", "pattern": {"Regex": "x+"}, "content": "$0c"}""", "a\U00010400xxb", "a\U00010400$0cb")]
    [InlineData("""{"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "Prepend", "prepend": "A"}]}""", "B", "Ab")]
    public void Normalizers_change_the_text_in_their_order(string normalizer, string text, string expected)
    {
        using var json = JsonDocument.Parse($$"""{"normalizer": {{normalizer}}}""");
        Assert.Equal(expected, NormalizerSection.Read(new JsonSection(json.RootElement, "tokenizer.json"))
            .Apply(text, TextPosition.Start));
    }

    [Theory]
    [InlineData("\u0130", "i\u0307"), InlineData("\u03a3\u03a3", "\u03c3\u03c3"), InlineData("\U00010400", "\U00010428")]
    [InlineData("\u1e9e", "\u00df"), InlineData("\u212a", "k")]
    public void Lower_case_is_that_of_each_character(string text, string expected) => Assert.Equal(expected, Normalizer.Lower(text));

    [Fact]
    public void A_token_before_and_one_after_the_text_are_those_of_the_post_processor() =>
        Assert.Equal([6, 0, 7], Load(With("post_processor", """{"type": "RobertaProcessing", "sep": ["<w>", 7], "cls": ["<s>", 6]}"""))
            .Encode("a", addSpecialTokens: true));

    [Fact]
    public void Of_a_merge_that_is_listed_twice_the_last_one_counts() =>
        Assert.Equal([0, 8], Load(With("model/merges", """["a b", "b c", "a b"]""").Replace("\"abc\":4", "\"abc\":4,\"bc\":8"))
            .Encode("abc"));

    [Fact]
    public void Of_templates_with_the_same_name_the_last_one_counts()
    {
        var tokenizer = LoadWith(("tokenizer_config.json", """
            {"chat_template": [{"name": "default", "template": "a"}, {"name": "default", "template": "b"}]}
            """));
        Assert.Equal("b", tokenizer.ChatTemplate!.Render([new("user", "")], addGenerationPrompt: false));
    }

    [Theory]
    [InlineData("tokenizer_config.json", """{"added_tokens_decoder": {"8": {"content": "<t>", "special": true}}}""")]
    [InlineData("added_tokens.json", """{"<t>": 8}""")]
    [InlineData("special_tokens_map.json", """{"pad_token": "<t>"}""")]
    [InlineData("special_tokens_map.json", """{"additional_special_tokens": ["<s>", {"content": "<t>", "lstrip": false}]}""")]
    [InlineData("tokenizer_config.json", """{"eos_token": {"content": "<t>"}}""")]
    public void A_token_that_only_another_file_has_is_one_token(string file, string json)
    {
        var tokenizer = LoadWith((file, json));
        Assert.Equal([0, 8, 1], tokenizer.Encode("a<t>b"));
        Assert.Equal(file != "added_tokens.json", tokenizer.IsSpecial(8));
        Assert.NotEqual(Load(Small).Hash, tokenizer.Hash);
    }

    [Fact]
    public void A_token_of_the_vocabulary_that_another_file_adds_keeps_its_id_and_is_found_in_text()
    {
        Assert.Equal([4], Load(Small).Encode("abc"));
        var tokenizer = LoadWith(
            ("tokenizer_config.json", """{"added_tokens_decoder": {"3": {"content": "ab", "special": true}}}"""));
        Assert.Equal([3, 2], tokenizer.Encode("abc"));
        Assert.True(tokenizer.IsSpecial(3));
    }

    [Fact]
    public void Tokenizer_config_decides_how_a_token_is_looked_for()
    {
        var tokenizer = LoadWith(
            ("tokenizer_config.json", """{"added_tokens_decoder": {"7": {"content": "<w>", "special": true, "normalized": false}}}"""));
        Assert.True(tokenizer.IsSpecial(7));
        Assert.Equal([0, 5, 7, 5, 1], tokenizer.Encode("a <w> b"));
    }

    [Theory]
    [InlineData("tokenizer_config.json", """{"added_tokens_decoder": {"9": {"content": "<t>"}}}""", "'<t>'", "next free id")]
    [InlineData("tokenizer_config.json", """{"added_tokens_decoder": {"7": {"content": "<s>"}}}""", "'<s>'", "gives it 6")]
    [InlineData("tokenizer_config.json", """{"added_tokens_decoder": {"x": {"content": "<t>"}}}""",
        "added_tokens_decoder.x", "no token id")]
    [InlineData("tokenizer_config.json", """{"eos_token": 3}""", "eos_token", "a string")]
    [InlineData("added_tokens.json", """{"abc": 5}""", "'abc'", "gives it 4")]
    [InlineData("added_tokens.json", """{"<t>": "8"}""", "<t>", "a whole number")]
    [InlineData("special_tokens_map.json", """{"additional_special_tokens": [3]}""", "special_tokens[0]", "an object")]
    public void A_file_that_contradicts_the_tokenizer_is_refused_by_its_name(string file, string json, string token, string fault)
    {
        var error = Assert.Throws<KoalaException>(() => LoadWith((file, json)));
        Assert.Contains(file, error.Where);
        Assert.Contains(token, error.Message);
        Assert.Contains(fault, error.Message);
    }

    [Theory, InlineData("spiece.model"), InlineData("vocab.json")]
    public void A_folder_with_another_kind_of_tokenizer_says_how_to_convert_it(string file)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At(file), "{}");
        var error = Assert.Throws<KoalaException>(() => Tokenizer.Load(folder.Path));
        Assert.Contains(file, error.Fault);
        Assert.Contains("save_pretrained", error.Fix);
    }

    private static Tokenizer LoadWith(params (string Name, string Text)[] files)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("tokenizer.json"), Small);
        foreach (var (name, text) in files) File.WriteAllText(folder.At(name), text);
        return Tokenizer.Load(folder.Path);
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
            new PreTokenizer([PieceStep.ByteLevel(hasPattern: true, prefixSpace: false)], "")
                .Pieces("𝔘𝔫𝔦!! 𐐀𐐨" + "\U0001D7D8𓀀", TextPosition.Start)
                .Where(p => p != "\U0001D7D8"));
}
