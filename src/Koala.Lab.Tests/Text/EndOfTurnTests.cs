using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Text;

/// <summary>Ends of turn that no list of end-of-sequence ids has, and stop strings that are special tokens.</summary>
public sealed class EndOfTurnTests
{
    [Fact]
    public void A_known_token_ends_an_answer_although_the_config_has_another_one()
    {
        using var target = Nano(folder => { });
        Assert.Equal([0], target.Config.EndOfSequenceIds);
        Assert.Equal([0, 2], target.EndIds);
    }

    [Fact]
    public void The_token_that_the_template_writes_after_an_answer_ends_it_whatever_its_name()
    {
        using var target = Nano(folder => Rename(folder, "<|im_end|>", "<|fin|>"));
        Assert.Equal([0, 2], target.EndIds);
    }

    [Fact]
    public void A_token_that_also_begins_the_answer_does_not_end_it()
    {
        using var target = Nano(folder =>
        {
            Rename(folder, "<|im_end|>", "<|fin|>");
            Template(folder, "{% for m in messages %}{{ '<|im_start|>' + m.role }}{% if m.role == 'assistant' %}{{ '<|fin|>' }}{% endif %}"
                + "{{ m.content + '<|fin|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant' }}{% endif %}");
        });
        Assert.Equal([0], target.EndIds);
    }

    [Theory]
    [InlineData("{{ raise_exception('no') }}")]
    [InlineData("{% for m in messages %}{{ m.content }}, {% endfor %}")]
    [InlineData("no message at all")]
    public void A_template_that_names_no_end_leaves_the_others(string template)
    {
        using var target = Nano(folder =>
        {
            Rename(folder, "<|im_end|>", "<|fin|>");
            Template(folder, template);
        });
        Assert.Equal([0], target.EndIds);
    }

    [Fact]
    public void What_only_separates_the_messages_of_an_answer_does_not_end_it()
    {
        using var folder = new TemporaryFolder();
        Copy(folder);
        Rename(folder, "<|im_end|>", "<|end|>");
        Assert.Equal([0, 2], EndOfTurn.Find(Tokenizer.Load(folder.Path)));
        Rename(folder, "<|im_start|>", "<|return|>");
        Assert.Equal([0, 1], EndOfTurn.Find(Tokenizer.Load(folder.Path)));
    }

    [Fact]
    public void The_answer_ends_there_with_and_without_drafts()
    {
        var prompt = Golden.Prompts("koala-nano")[0].Ids;
        using var target = Nano(folder => { });
        using var decoder = new SpeculativeDecoder(target, new PromptLookup()) { ChooseDraftLength = false };
        using var plain = new SpeculativeDecoder(ShippedModels.Nano);
        var options = new GenerationOptions { MaxTokens = 400 };
        Assert.Equal(plain.Generate(prompt, options).Tokens, decoder.Generate(prompt, options).Tokens);
    }

    [Theory]
    [InlineData("<|im_start|>", "ab", "<|im_start|>", "")]
    [InlineData("b<|im_start|>", "a", "<|im_start|>", "")]
    [InlineData("<|im_start|>user", "ab", "<|im_start|>", "user")]
    public void A_stop_string_may_contain_special_tokens(string stop, string expected, string special, string after)
    {
        var tokenizer = ShippedModels.Nano.Tokenizer;
        int[] tokens = [.. tokenizer.Encode("ab"), .. tokenizer.Encode(special), .. tokenizer.Encode(after)];
        var sequence = new Sequence(ShippedModels.Nano, [3], new GenerationOptions { Stop = [stop] }, null);
        sequence.Commit([.. tokens, .. tokenizer.Encode("tail")]);
        var answer = sequence.Finish();
        Assert.Equal((expected, FinishReason.Stop), (answer.Text, answer.FinishReason));
        Assert.Equal(tokens, answer.Tokens);
    }

    [Fact]
    public void The_characters_of_a_special_token_stop_too()
    {
        var tokenizer = ShippedModels.Nano.Tokenizer;
        var sequence = new Sequence(ShippedModels.Nano, [3], new GenerationOptions { Stop = ["<|im_start|>"] }, null);
        sequence.Commit([.. tokenizer.Encode("ab<|im_"), .. tokenizer.Encode("start|>"), .. tokenizer.Encode("tail")]);
        Assert.Equal(("ab", FinishReason.Stop), (sequence.Finish().Text, sequence.Finish().FinishReason));
    }

    [Fact]
    public void A_special_token_of_no_stop_string_does_not_interrupt_one()
    {
        var tokenizer = ShippedModels.Nano.Tokenizer;
        var sequence = new Sequence(ShippedModels.Nano, [3], new GenerationOptions { Stop = ["ab"] }, null);
        sequence.Commit([.. tokenizer.Encode("xa"), 1, .. tokenizer.Encode("b")]);
        Assert.Equal(("x", FinishReason.Stop), (sequence.Finish().Text, sequence.Finish().FinishReason));
    }

    [Fact]
    public void A_token_beyond_the_models_vocabulary_is_known_but_no_prompt_may_contain_it()
    {
        using var target = Nano(folder => File.WriteAllText(folder.At("added_tokens.json"), """{"[PAD]": 512}"""));
        Assert.Equal([512], target.Tokenizer.Encode("[PAD]"));
        using var decoder = new SpeculativeDecoder(target);
        decoder.Generate([3], new GenerationOptions { MaxTokens = 1 });
        var error = Assert.Throws<KoalaException>(() => decoder.Generate([3, 512]));
        Assert.Contains("512 ('[PAD]')", error.Message);
        Assert.Throws<KoalaException>(() => decoder.Generate([-1]));
    }

    // koala-nano whose files call only the end of a document the end of sequence.
    private static Target Nano(Action<TemporaryFolder> change)
    {
        using var folder = new TemporaryFolder();
        Copy(folder);
        File.WriteAllText(folder.At("generation_config.json"), """{"eos_token_id": 0}""");
        Edit(folder, "config.json", text => text.Replace("\"eos_token_id\": 2", "\"eos_token_id\": 0"));
        change(folder);
        return Target.Load(folder.Path);
    }

    private static void Copy(TemporaryFolder folder)
    {
        foreach (var file in Directory.EnumerateFiles(ShippedModels.Folder("koala-nano")))
            File.Copy(file, folder.At(Path.GetFileName(file)));
    }

    private static void Rename(TemporaryFolder folder, string token, string name)
    {
        foreach (var file in (string[])["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
            Edit(folder, file, text => text.Replace(token, name));
    }

    private static void Template(TemporaryFolder folder, string text) => File.WriteAllText(folder.At("chat_template.jinja"), text);

    private static void Edit(TemporaryFolder folder, string file, Func<string, string> change) =>
        File.WriteAllText(folder.At(file), change(File.ReadAllText(folder.At(file))));
}
