using Koala.Lab.Runtime.Machine;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Text;

/// <summary>
/// Templates come from strangers: whatever one does, it is one line, within 3 s of processor time and 64 MiB beside the
/// template.
/// </summary>
public sealed class HostileTemplateTests
{
    private static readonly (string Kind, string Text)[] s_templates =
    [
        ("nested loops over range(100000000)",
            "{% for a in range(100000000) %}{% for a in range(100000000) %}{% for a in range(100000000) %}{% for "
            + "a in range(100000000) %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}"),
        ("nested loops over range(1000000000000)",
            "{% for a in range(1000000000000) %}{% for a in range(1000000000000) %}{% for a in range(100000000000"
            + "0) %}{% for a in range(1000000000000) %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}"),
        ("nested loops over range(0, 1000000000000, 3)",
            "{% for a in range(0, 1000000000000, 3) %}{% for a in range(0, 1000000000000, 3) %}{% for a in range("
            + "0, 1000000000000, 3) %}{% for a in range(0, 1000000000000, 3) %}{% endfor %}{% endfor %}{% endfor %}"
            + "{% endfor %}"),
        ("nested loops over range(-1000000000000, 0)",
            "{% for a in range(-1000000000000, 0) %}{% for a in range(-1000000000000, 0) %}{% for a in range(-100"
            + "0000000000, 0) %}{% for a in range(-1000000000000, 0) %}{% endfor %}{% endfor %}{% endfor %}{% endfo"
            + "r %}"),
        ("nested loops over range(1000)",
            "{% for a in range(1000) %}{% for a in range(1000) %}{% for a in range(1000) %}{% for a in range(1000"
            + ") %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}"),
        ("a list of 1000000000", "{% set x = range(1000000000) %}"),
        ("the length of a list of 1000000000", "{{ range(1000000000) | length }}"),
        ("a list of 1000000000 as text", "{{ range(1000000000) }}"),
        ("a list of 1000000000 joined", "{{ range(1000000000) | join('x') }}"),
        ("a list of 1000000000000", "{% set x = range(1000000000000) %}"),
        ("the length of a list of 1000000000000", "{{ range(1000000000000) | length }}"),
        ("a list of 1000000000000 as text", "{{ range(1000000000000) }}"),
        ("a list of 1000000000000 joined", "{{ range(1000000000000) | join('x') }}"),
        ("a list of 10 ** 15", "{% set x = range(10 ** 15) %}"),
        ("the length of a list of 10 ** 15", "{{ range(10 ** 15) | length }}"),
        ("a list of 10 ** 15 as text", "{{ range(10 ** 15) }}"),
        ("a list of 10 ** 15 joined", "{{ range(10 ** 15) | join('x') }}"),
        ("a loop that counts to a billion with ifs",
            "{% for a in range(1000000) %}{% for b in range(1000000) %}{% if a == b %}{% endif %}{% endfor %}{% e"
            + "ndfor %}"),
        ("a text that doubles by +",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns"
            + ".s }}"),
        ("a text that doubles by ~",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns"
            + ".s }}"),
        ("a text that doubles by join",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] | join(ns.s) %}{% "
            + "endfor %}{{ ns.s }}"),
        ("a text that doubles by replace",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s | replace('x', ns.s + ns.s"
            + ") %}{% endfor %}{{ ns.s }}"),
        ("a text that doubles by method replace",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('x', ns.s + ns.s) "
            + "%}{% endfor %}{{ ns.s }}"),
        ("a text that doubles by indent",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s | indent(65000, true) %}{%"
            + " endfor %}{{ ns.s }}"),
        ("a text that doubles by tojson",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | tojson %}{% end"
            + "for %}{{ ns.s }}"),
        ("a text that doubles by upper",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | upper %}{% endf"
            + "or %}{{ ns.s }}"),
        ("a text that doubles by title",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | title %}{% endf"
            + "or %}{{ ns.s }}"),
        ("a text that doubles by trim",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | trim %}{% endfo"
            + "r %}{{ ns.s }}"),
        ("a text that doubles by reverse slices",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s[::-1] + ns.s %}{% endfor %"
            + "}{{ ns.s }}"),
        ("a text that doubles by split",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s.split('x') | join('xx') + "
            + "ns.s %}{% endfor %}{{ ns.s }}"),
        ("a text that doubles by string",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | string %}{% end"
            + "for %}{{ ns.s }}"),
        ("a text that doubles by capitalize",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | capitalize %}{%"
            + " endfor %}{{ ns.s }}"),
        ("a text that doubles by strip",
            "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s).strip() %}{% endf"
            + "or %}{{ ns.s }}"),
        ("a list that doubles by +",
            "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns"
            + ".s }}"),
        ("a list that doubles by list",
            "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | list %}{% endfo"
            + "r %}{{ ns.s }}"),
        ("a list that doubles by slices",
            "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s)[::1] %}{% endfor "
            + "%}{{ ns.s }}"),
        ("a list that doubles by nesting",
            "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ n"
            + "s.s }}"),
        ("a list that doubles by sorting",
            "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | sort %}{% endfo"
            + "r %}{{ ns.s }}"),
        ("a list that doubles by reverse",
            "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | reverse %}{% en"
            + "dfor %}{{ ns.s }}"),
        ("nested objects",
            "{% set ns = namespace(s=1) %}{% for i in range(60) %}{% set ns.s = {'a': ns.s, 'b': ns.s} %}{% endfo"
            + "r %}{{ ns.s }}"),
        ("a namespace within itself", "{% set ns = namespace() %}{% set ns.s = ns %}{{ ns }}"),
        ("a namespace within itself as JSON", "{% set ns = namespace() %}{% set ns.s = [ns] %}{{ ns.s | tojson }}"),
        ("an indent of 20000000", "{{ 'a\\nb' | indent(20000000) }}"),
        ("JSON with an indent of 20000000", "{{ {'a': [1]} | tojson(indent=20000000) }}"),
        ("an indent of 2000000000", "{{ 'a\\nb' | indent(2000000000) }}"),
        ("JSON with an indent of 2000000000", "{{ {'a': [1]} | tojson(indent=2000000000) }}"),
        ("an indent of 100000000000", "{{ 'a\\nb' | indent(100000000000) }}"),
        ("JSON with an indent of 100000000000", "{{ {'a': [1]} | tojson(indent=100000000000) }}"),
        ("deep recursion of a macro", "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}"),
        ("two macros in turn", "{% macro f(n) %}{{ g(n) }}{% endmacro %}{% macro g(n) %}{{ f(n) }}{% endmacro %}{{ f(0) }}"),
        ("a macro that branches", "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"),
        ("a macro with a caller of its own", "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}"),
        ("3000 nested brackets", "{{ " + Repeat("(", 3000) + "1" + Repeat(")", 3000) + " }}"),
        ("20000 nested brackets", "{{ " + Repeat("(", 20000) + "1" + Repeat(")", 20000) + " }}"),
        ("3000 nested lists", "{{ " + Repeat("[", 3000) + "1" + Repeat("]", 3000) + " }}"),
        ("20000 nested lists", "{{ " + Repeat("[", 20000) + "1" + Repeat("]", 20000) + " }}"),
        ("3000 nested objects", "{{ " + Repeat("{'a': ", 3000) + "1" + Repeat("}", 3000) + " }}"),
        ("20000 nested objects", "{{ " + Repeat("{'a': ", 20000) + "1" + Repeat("}", 20000) + " }}"),
        ("3000 nested negations", "{{ " + Repeat("not ", 3000) + "1" + " }}"),
        ("20000 nested negations", "{{ " + Repeat("not ", 20000) + "1" + " }}"),
        ("3000 nested signs", "{{ " + Repeat("-", 3000) + "1" + " }}"),
        ("20000 nested signs", "{{ " + Repeat("-", 20000) + "1" + " }}"),
        ("3000 nested ifs", Repeat("{% if true %}", 3000) + "1" + Repeat("{% endif %}", 3000)),
        ("3000 nested loops", Repeat("{% for a in [1] %}", 3000) + "1" + Repeat("{% endfor %}", 3000)),
        ("3000 nested sets", Repeat("{% set a %}", 3000) + "1" + Repeat("{% endset %}", 3000)),
        ("a chain of 20000 sums", "{{ x" + Repeat(" + 1", 20000) + " }}"),
        ("a chain of 20000 filters", "{{ x" + Repeat(" | trim", 20000) + " }}"),
        ("a chain of 20000 attributes", "{{ x" + Repeat(".a", 20000) + " }}"),
        ("a chain of 20000 subscripts", "{{ x" + Repeat("[0]", 20000) + " }}"),
        ("a chain of 20000 calls", "{{ x" + Repeat("()", 20000) + " }}"),
        ("a chain of 20000 conditions", "{{ x" + Repeat(" if 1 else 1", 20000) + " }}"),
        ("a chain of 20000 joins", "{{ x" + Repeat(" ~ 1", 20000) + " }}"),
        ("a chain of 20000 conjunctions", "{{ x" + Repeat(" and 1", 20000) + " }}"),
        ("an escape: messages.constructor.constructor('return 1')()", "{{ messages.constructor.constructor('return 1')() }}"),
        ("an escape: raise_exception.constructor('return this')()", "{{ raise_exception.constructor('return this')() }}"),
        ("an escape: ''.__proto__.constructor.constructor('return this')()",
            "{{ ''.__proto__.constructor.constructor('return this')() }}"),
        ("an escape: messages.__class__.__mro__[1].__subclasses__()", "{{ messages.__class__.__mro__[1].__subclasses__() }}"),
        ("an escape: self.__init__.__globals__()", "{{ self.__init__.__globals__() }}"),
        ("an escape: cycler.__init__.__globals__.os.popen('id').read()", "{{ cycler.__init__.__globals__.os.popen('id').read() }}"),
        ("an escape: range.__call__('x')()", "{{ range.__call__('x')() }}"),
        ("an escape: strftime_now.constructor('return process')()", "{{ strftime_now.constructor('return process')() }}"),
        ("an escape: System.IO.File.ReadAllText('/etc/passwd')", "{{ System.IO.File.ReadAllText('/etc/passwd') }}"),
        ("an escape: importNamespace('System')", "{{ importNamespace('System') }}"),
        ("an escape: globalThis.eval('1')()", "{{ globalThis.eval('1')() }}"),
        ("an escape: require('fs').readFileSync('/etc/passwd')", "{{ require('fs').readFileSync('/etc/passwd') }}"),
        ("an escape: process.exit(0)", "{{ process.exit(0) }}"),
        ("an escape: Function('return this')()", "{{ Function('return this')() }}"),
        ("no template: {% import 'a' as b %}", "{% import 'a' as b %}"),
        ("no template: {% include '/etc/passwd' %}", "{% include '/etc/passwd' %}"),
        ("no template: {% extends 'a' %}", "{% extends 'a' %}"),
        ("no template: {% from 'a' import b %}", "{% from 'a' import b %}"),
        ("no template: {% for %}", "{% for %}"),
        ("no template: {% if true %}", "{% if true %}"),
        ("no template: {{ 1", "{{ 1"),
        ("no template: {% raw %}", "{% raw %}"),
        ("no template: {{ 'a }}", "{{ 'a }}"),
        ("no template: {# no end", "{# no end"),
        ("no template: {{ '\\x' }}", "{{ '\\x' }}"),
        ("no template: {% endfor %}", "{% endfor %}"),
        ("no template: {{ }}", "{{ }}"),
        ("no template: {% unknown %}", "{% unknown %}"),
        ("no template: {{ 1 | unknown }}", "{{ 1 | unknown }}"),
        ("an exception of its own", "{{ raise_exception('no such role') }}"),
        ("an exception of several lines", "{{ raise_exception('a\\nb\\rc') }}"),
        ("an endless exception",
            "{% set ns = namespace(s='x') %}{% for i in range(24) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ra"
            + "ise_exception(ns.s) }}"),
        ("a long text in a long text",
            "{% set ns = namespace(s='ab') %}{% for i in range(20) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{% s"
            + "et t = ns.s[:1000000] + 'bb' %}{{ t in (ns.s + ns.s) }}"),
        ("splitting by a long text",
            "{% set ns = namespace(s='ab') %}{% for i in range(20) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ n"
            + "s.s.split(ns.s[:100000] + 'bb') }}"),
        ("replacing a long text",
            "{% set ns = namespace(s='ab') %}{% for i in range(20) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ n"
            + "s.s | replace(ns.s[:100000] + 'bb', '') }}"),
        ("replacing in a loop",
            "{% set ns = namespace(s='ab') %}{% for i in range(20) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{% f"
            + "or i in range(1000000) %}{% set x = ns.s | replace('b', 'c') %}{% endfor %}"),
        ("comparing in a loop",
            "{% set ns = namespace(s='ab') %}{% for i in range(20) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{% s"
            + "et t = ns.s + 'a' %}{% set u = ns.s + 'b' %}{% for i in range(1000000) %}{% for j in range(1000) %}{"
            + "% if t == u %}{% endif %}{% endfor %}{% endfor %}"),
        ("searching in a loop",
            "{% set ns = namespace(s='ab') %}{% for i in range(20) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{% f"
            + "or i in range(10000) %}{% for j in range(1000) %}{% if 'zzz' in ns.s %}{% endif %}{% endfor %}{% end"
            + "for %}"),
        ("sorting in a loop", "{% for i in range(100000) %}{% set x = range(1000) | sort %}{% endfor %}"),
        ("a power that is too large", "{{ 10 ** 100000 }}"),
        ("a date in a loop",
            "{% for i in range(10000) %}{% for j in range(1000) %}{% set x = strftime_now('%Y%m%d') %}{% endfor %"
            + "}{% endfor %}"),
        ("spaces without end", Repeat(" ", 2000000)),
        ("a template of 2 MB", Repeat("{% set a = 1 %}", 140000)),
        ("lines of blocks", Repeat("{% if x %}\n", 10000)),
        ("many variables", Repeat("{% set a = [1, 2, 3] | join %}", 4000)),
    ];

    public static TheoryData<string> Kinds => [.. s_templates.Select(template => template.Kind)];

    [Theory, MemberData(nameof(Kinds))]
    public void A_hostile_template_is_one_clear_error(string kind)
    {
        var text = s_templates.Single(template => template.Kind == kind).Text;
        // Loading the library is no work of the template.
        new ChatTemplate("", new Dictionary<string, string>(), "").Render([], false);
        var (time, memory) = (ThreadTime.Now(), GC.GetAllocatedBytesForCurrentThread());
        var error = Assert.Throws<KoalaException>(() =>
            new ChatTemplate(text, new Dictionary<string, string>(), "test.jinja").Render([new(Message.User, "Hello")], true));
        Assert.InRange(ThreadTime.Now() - time, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - memory, 0, text.Length + (64L << 20));
        Assert.Equal("test.jinja", error.Where);
        Assert.DoesNotContain('\n', error.Message);
        Assert.DoesNotContain('\r', error.Message);
    }

    private static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count));
}
