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

    // As templates of reasoning models do: what was thought before the last answer is removed.
    private const string RemovesThoughts = """
        {%- for m in messages -%}
        {%- set text = m.content -%}
        {%- if m.role == 'assistant' and not loop.last and '</think>' in text -%}
        {%- set text = text.split('</think>')[-1].lstrip('\n') -%}
        {%- endif -%}
        <|im_start|>{{ m.role }}
        {{ text }}<|im_end|>
        {% endfor -%}
        {%- if add_generation_prompt -%}<|im_start|>assistant
        {% endif -%}
        """;

    // The generation prompt opens the thought, and no answer is rendered with it.
    private const string OpensThought = """
        {%- for m in messages -%}
        <|im_start|>{{ m.role }}
        {{ m.content.split('</think>')[-1] }}<|im_end|>
        {% endfor -%}
        {%- if add_generation_prompt -%}<|im_start|>assistant
        <think>
        {% endif -%}
        """;

    // The generation prompt opens the thought, and an answer keeps its own.
    private const string OpensThoughtOnly = """
        {%- for m in messages -%}
        <|im_start|>{{ m.role }}
        {{ m.content }}<|im_end|>
        {% endfor -%}
        {%- if add_generation_prompt -%}<|im_start|>assistant
        <think>
        {% endif -%}
        """;

    [Fact]
    public void Each_answer_follows_its_own_prompt_where_the_template_removes_earlier_thoughts()
    {
        var tokenizer = WithTemplate(RemovesThoughts);
        (string, string)[] messages = [("user", "Hi"), ("assistant", "<think>\na\n</think>\n\nHello"),
            ("user", "And?"), ("assistant", "<think>\nb\n</think>\n\nBye")];
        var turns = new ConversationTokenizer(tokenizer).Tokenize(Chat(true, messages));
        Assert.Equal(["<think>\na\n</think>\n\nHello<|im_end|>", "<think>\nb\n</think>\n\nBye<|im_end|>"], turns.Select(Learned));
        var chat = Chat(true, messages).Messages;
        Assert.Equal([tokenizer.EncodeChat([.. chat.Take(1)]), tokenizer.EncodeChat([.. chat.Take(3)])], turns.Select(Prompt));
        Assert.DoesNotContain("\na\n", s_nano.Decode(turns[1].Tokens), StringComparison.Ordinal);

        // Without thoughts every prompt is the beginning of the next one, so the chat stays one sequence.
        Assert.Single(new ConversationTokenizer(tokenizer).Tokenize(
            Chat(true, ("user", "Hi"), ("assistant", "Hello"), ("user", "And?"), ("assistant", "Bye"))));
    }

    [Theory]
    [InlineData(OpensThought, "<think>\na\n</think>\n\nHello")]
    [InlineData(OpensThought, "a\n</think>\n\nHello")]
    [InlineData(OpensThoughtOnly, "<think>\na\n</think>\n\nHello")]
    public void What_the_generation_prompt_opens_is_not_said_twice(string template, string content)
    {
        var tokenizer = WithTemplate(template);
        var turn = Assert.Single(new ConversationTokenizer(tokenizer).Tokenize(Chat(true, ("user", "Hi"), ("assistant", content))));
        Assert.Equal("a\n</think>\n\nHello<|im_end|>", Learned(turn));
        Assert.Equal(tokenizer.EncodeChat([new("user", "Hi")]), Prompt(turn));
    }

    [Fact]
    public void An_answer_that_was_cut_off_has_no_end_of_turn_in_a_turn_of_its_own() =>
        Assert.Equal("a", Learned(Assert.Single(new ConversationTokenizer(WithTemplate(OpensThought)).Tokenize(
            Chat(false, ("user", "Hi"), ("assistant", "<think>\na"))))));

    [Theory]
    [InlineData("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}")]
    [InlineData("{% for m in messages %}{{ m.content | upper }}{% endfor %}")]
    public void An_answer_that_the_template_changes_is_learned_as_it_was_given(string template) =>
        Assert.Equal("yes", Learned(Assert.Single(new ConversationTokenizer(WithTemplate(template)).Tokenize(
            Chat(true, ("user", "hi"), ("assistant", "yes"))))));

    [Fact]
    public void A_chat_that_the_template_refuses_is_told_from_a_template_that_is_broken()
    {
        var alternating = new ConversationTokenizer(WithTemplate(
            "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user first') }}{% endif %}"
            + "{{ m.content }}{% endfor %}"));
        var refusal = alternating.TryTokenize(Chat(true, ("assistant", "Welcome"), ("user", "Hi"), ("assistant", "Yes"))).Refusal;
        Assert.Contains("user first", refusal!.Fault, StringComparison.Ordinal);
        Assert.Null(alternating.TryTokenize(Chat(true, ("user", "Hi"), ("assistant", "Yes"))).Refusal);
        var endless = new ConversationTokenizer(WithTemplate(
            "{% for a in range(100000000) %}{% for b in range(100000000) %}{% endfor %}{% endfor %}"));
        Assert.Throws<KoalaException>(() => endless.TryTokenize(Chat(true, ("user", "Hi"), ("assistant", "Yes"))));
    }

    private static IReadOnlyList<int> Prompt(TokenizedConversation c) => c.Tokens[..Array.IndexOf(c.LossMask, true)];

    private static Tokenizer WithTemplate(string template)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(ShippedModels.Folder("koala-nano"), "tokenizer.json"), folder.At("tokenizer.json"));
        File.WriteAllText(folder.At("chat_template.jinja"), template);
        return Tokenizer.Load(folder.Path);
    }
}
