using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Text;

public sealed class ConversationTokenizerTests
{
    private static readonly Tokenizer s_nano = Tokenizer.Load(ShippedModels.Folder("koala-nano"));

    private static Conversation Chat(bool done, params (string Role, string Content)[] messages) =>
        new("c", "", "", "", [.. messages.Select(m => new Message(m.Role, m.Content))], done);

    private static string Learned(TokenizedConversation c) => s_nano.Decode([.. c.Tokens.Where((_, i) => c.LossMask[i])]);

    [Fact]
    public void Only_assistant_text_and_its_end_of_turn_are_learned()
    {
        var tokenizer = new ConversationTokenizer(s_nano);
        (string, string)[] messages = [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello there"),
            ("user", "Hello there"), ("assistant", "\n Bye ")];
        var done = Assert.Single(tokenizer.Tokenize(Chat(true, messages)));
        Assert.Equal("Hello there<|im_end|>\n Bye <|im_end|>", Learned(done));
        Assert.Equal(s_nano.ChatTemplate!.Render(Chat(true, messages).Messages, false), s_nano.Decode(done.Tokens));
        var cut = Assert.Single(tokenizer.Tokenize(Chat(false, messages)));
        Assert.Equal("Hello there<|im_end|>\n Bye ", Learned(cut));
        Assert.Equal(done.Tokens, cut.Tokens);
    }

    [Fact]
    public void Prompts_within_a_conversation_are_those_the_target_would_get()
    {
        var c = Assert.Single(new ConversationTokenizer(s_nano).Tokenize(Chat(true, ("user", "Hi"), ("assistant", "Hello"))));
        Assert.Equal(s_nano.EncodeChat([new("user", "Hi")]), c.Tokens[..Array.IndexOf(c.LossMask, true)]);
    }

    [Fact]
    public void A_conversation_without_an_assistant_has_no_labels() =>
        Assert.DoesNotContain(true, Assert.Single(new ConversationTokenizer(s_nano).Tokenize(Chat(true, ("user", "Hi")))).LossMask);

    [Theory]
    [InlineData("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}")]
    [InlineData("{% for m in messages %}{{ m.content | upper }}{% endfor %}")]
    public void A_template_whose_answers_cannot_be_found_is_refused(string template)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(ShippedModels.Folder("koala-nano"), "tokenizer.json"), folder.At("tokenizer.json"));
        File.WriteAllText(folder.At("chat_template.jinja"), template);
        var tokenizer = Tokenizer.Load(folder.Path);
        Assert.NotEqual(s_nano.Hash, tokenizer.Hash);
        Assert.Contains("'c'",
            Assert.Throws<KoalaException>(() =>
                new ConversationTokenizer(tokenizer).Tokenize(Chat(true, ("user", "hi"), ("assistant", "yes")))).Where);
    }
}
