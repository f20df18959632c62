using System.Diagnostics;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Text;

public sealed class ChatTemplateTests
{
    private static readonly Message[] s_hello = [new(Message.User, "Hello")];

    private static ChatTemplate Make(string text, params (string Name, string Text)[] tokens) =>
        new(text, tokens.ToDictionary(t => t.Name, t => t.Text), "test.jinja");

    [Theory]
    [InlineData("an endless loop", "{% for a in range(100000000) %}{% for b in range(100000000) %}{% endfor %}{% endfor %}")]
    [InlineData("a long list", "{% set x = range(1000000000) %}")]
    [InlineData("a doubling string",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}")]
    [InlineData("a doubling list",
        "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")]
    [InlineData("doubling by join",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s]|join(ns.s) %}{% endfor " +
        "%}{{ ns.s }}")]
    [InlineData("doubling by replace",
        "{% set ns = namespace(s='xx') %}{% for i in range(60) %}{% set ns.s = ns.s|replace('x', ns.s) %}{% endfor " +
        "%}{{ ns.s }}")]
    [InlineData("a wide indent", "{{ 'a\nb'|indent(2000000000) }}")]
    [InlineData("deep recursion", "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}")]
    [InlineData("an escape to .NET", "{{ messages.constructor.constructor('return 1')() }}")]
    [InlineData("an escape from a function", "{{ raise_exception.constructor('return this')() }}")]
    [InlineData("an escape over a prototype", "{{ ''.__proto__.constructor.constructor('return this')() }}")]
    [InlineData("an exception of its own", "{{ raise_exception('no such role') }}")]
    [InlineData("no Jinja", "{% for %}")]
    [InlineData("an open block", "{% if true %}")]
    public void A_template_that_throws_or_does_not_end_is_one_clear_error(string kind, string text)
    {
        var clock = Stopwatch.StartNew();
        var error = Assert.Throws<KoalaException>(() => Make(text).Render(s_hello, addGenerationPrompt: true));
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"{kind} took {clock.Elapsed}");
        Assert.Equal("test.jinja", error.Where);
        Assert.DoesNotContain('\n', error.Message);
    }

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
