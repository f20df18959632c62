using Koala.Lab.Runtime.Machine;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Text;

public sealed class ChatTemplateTests
{
    private static readonly Message[] s_hello = [new(Message.User, "Hello")];

    private static ChatTemplate Make(string text, params (string Name, string Text)[] tokens) =>
        new(text, tokens.ToDictionary(t => t.Name, t => t.Text), "test.jinja");

    // Without a guard the native stack overflows, and the test process ends.
    [Theory]
    [InlineData(300)]
    [InlineData(5_000)]
    public void Deeply_nested_text_is_one_clear_error_on_a_small_stack(int depth)
    {
        KoalaException? error = null;
        var thread = new Thread(() => error = Record.Exception(() =>
            Make("{{ " + new string('(', depth) + "1" + new string(')', depth) + " }}")
                .Render(s_hello, false)) as KoalaException, 512 << 10);
        thread.Start();
        thread.Join();
        Assert.NotNull(error);
    }

    // A quarter of a second of a loop that waits for others is no work of its own.
    [Fact]
    public void Only_processor_time_counts()
    {
        var limit = new ProcessorTimeLimit(TimeSpan.FromSeconds(0.1));
        limit.Reset();
        Thread.Sleep(250);
        limit.Check();
        var start = ThreadTime.Now();
        while (ThreadTime.Now() - start < TimeSpan.FromSeconds(0.11)) { }
        Assert.Throws<TimeoutException>(limit.Check);
        limit.Reset();
        limit.Check();
    }

    [Theory]
    [InlineData("spaces", " ", "")]
    [InlineData("spaces in an expression", "{{ ", " 1 }}")]
    [InlineData("spaces before a block", "", "{% if true %}{% endif %}")]
    public void A_long_template_is_read_in_time_that_grows_with_its_length(string kind, string before, string after)
    {
        var start = ThreadTime.Now();
        Make(before + new string(' ', 100_000) + after).Render(s_hello, false);
        Assert.True(ThreadTime.Now() - start < TimeSpan.FromSeconds(3), kind);
    }

    [Fact]
    public void A_template_that_is_too_long_is_refused_at_once() =>
        Assert.Contains($"{2 << 20} characters",
            Assert.Throws<KoalaException>(() => Make(new string(' ', 2 << 20)).Render(s_hello, false)).Message);

    [Fact]
    public void A_long_chat_has_the_room_that_it_needs()
    {
        var template = Make("{% for m in messages %}{{ m.role + ': ' + m.content.split('</think>')[-1] | trim }}{% endfor %}");
        Message[] chat = [.. Enumerable.Range(0, 400).Select(i => new Message(Message.User, new string('a', 2000)))];
        Assert.Equal(400 * 2006, template.Render(chat, false).Length);
        Assert.Equal("user: Hello", template.Render(s_hello, false));
    }

    [Theory]
    [InlineData("a  \n  {% generation %}b{% endgeneration %}  \n\n", "a  \nb  \n")]
    [InlineData("a \n {%- generation -%} b {%- endgeneration -%} \n c", "abc")]
    [InlineData("  {% if true %}\nx\n\t{% endif %}\n\ny\n", "x\n\ny")]
    [InlineData("  {# a #}\nx  {{ 1 }}\n", "x  1")]
    public void White_space_around_blocks_is_left_out(string template, string expected) =>
        Assert.Equal(expected, Make(template).Render(s_hello, false));

    [Fact]
    public void An_exception_of_the_template_keeps_its_message() =>
        Assert.Contains("no such role",
            Assert.Throws<KoalaException>(() =>
                Make("{{ raise_exception('no such role') }}").Render(s_hello, false)).Message);

    [Fact]
    public void Templates_see_the_special_tokens_and_the_generation_prompt()
    {
        var template = Make("{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m['content'] | trim }}{{ " +
            "eos_token }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}{% if tools is none %}!{% " +
            "endif %}{% if pad_token is defined %}?{% endif %}",
            ("bos_token", "<s>"), ("eos_token", "</s>"));
        Assert.Equal("<s>user:Hello</s>assistant:!", template.Render(s_hello, true));
        Assert.Equal("<s>user:Hello</s>!", template.Render(s_hello, false));
    }

    [Fact]
    public void Blocks_leave_no_white_space_and_dates_are_there() =>
        Assert.Matches("^\\d{4}\nb$", Make("{% if true %}\n{{ strftime_now('%Y') }}\n  {% endif %}\nb").Render(s_hello, false));

    [Fact]
    public void Renders_share_nothing()
    {
        var template = Make("{% if seen is defined %}leak{% endif %}{% set seen = 1 %}{% set _ = " +
            "messages[0].update({'content': 'changed'}) if messages[0].update is defined else 0 %}{{ " +
            "messages[0].content }}{% if messages[0].content == 'throw' %}{{ raise_exception('x') }}{% endif %}");
        for (var i = 0; i < 3; i++)
        {
            Assert.DoesNotContain("leak", template.Render(s_hello, false));
            Assert.Throws<KoalaException>(() => template.Render([new(Message.User, "throw")], false));
        }
    }

    [Fact]
    public void Many_threads_may_render_at_once()
    {
        var template = Make("{{ messages[0].content }}");
        string[] expected = [.. Enumerable.Range(0, 200).Select(i => $"text {i}")];
        Assert.Equal(expected,
            expected.AsParallel().AsOrdered().Select(text => template.Render([new(Message.User, text)], false)));
    }
}
