using System.Reflection;
using System.Text.Json;
using Jint;
using Jint.Native;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Chat;

/// <summary>One JavaScript engine with Hugging Face's Jinja and one parsed template in it; for one thread at a time.</summary>
/// <remarks>A template comes from a stranger: it sees no .NET, its renders share nothing, and time, memory, depth and statements are limited.</remarks>
internal sealed class TemplateEngine : IDisposable
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(3);
    private const long MostMemory = 512L << 20;
    private const int MostStatements = 50_000_000;
    private const int DeepestRecursion = 200;

    // The script is parsed once for all engines. The module's export list is cut off: a script has none.
    private static readonly Lazy<Prepared<Acornima.Ast.Script>> s_script = new(() => Engine.PrepareScript($$"""
        (function () {
        {{Library()}}
        return (template, tokens) => {
            const parsed = new Template(template);
            const variables = JSON.parse(tokens);
            return (messages, addGenerationPrompt) => parsed.render({
                messages: JSON.parse(messages), add_generation_prompt: addGenerationPrompt, tools: null, documents: null, ...variables,
            });
        };
        })()
        """, "huggingface-jinja.js"));

    private readonly Engine _engine;
    private readonly JsValue _render;
    private readonly string _where;

    /// <exception cref="KoalaException">The template cannot be parsed.</exception>
    public TemplateEngine(string template, string tokens, string where)
    {
        _where = where;
        _engine = new Engine(options =>
        {
            options.Strict().DisableStringCompilation().LimitMemory(MostMemory).TimeoutInterval(s_longest).MaxStatements(MostStatements).LimitRecursion(DeepestRecursion);
            // The depth counts a function at a time; twenty that call each other in turn overflow a small stack before, which would end the process.
            options.Constraints.StackOverflowGuard = true;
        });
        _render = Run("cannot be parsed", () => _engine.Invoke(_engine.Evaluate(s_script.Value), template, tokens));
    }

    /// <exception cref="KoalaException">The template throws or breaks a limit; the engine is of no more use.</exception>
    public string Render(IReadOnlyList<Message> messages, bool addGenerationPrompt)
    {
        var json = JsonSerializer.Serialize(messages.Select(m => new { role = m.Role, content = m.Content }));
        return Run("cannot be rendered", () => _engine.Invoke(_render, json, addGenerationPrompt)).AsString();
    }

    public void Dispose() => _engine.Dispose();

    private JsValue Run(string fault, Func<JsValue> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is JintException or TimeoutException or InsufficientExecutionStackException or OutOfMemoryException)
        {
            throw new KoalaException(_where, $"{fault} ({MessageText.Text(e.Message.TrimEnd('.'))})",
                $"correct the template or the roles of the messages, or use {new OptionName("Raw")}", e);
        }
    }

    private static string Library()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("huggingface-jinja.js")!;
        using var reader = new StreamReader(stream);
        var text = reader.ReadToEnd();
        return text[..text.LastIndexOf("export {", StringComparison.Ordinal)];
    }
}
