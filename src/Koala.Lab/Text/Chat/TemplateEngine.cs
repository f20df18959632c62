using System.Reflection;
using System.Text.Json;
using Jint;
using Jint.Native;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Chat;

/// <summary>
/// A JavaScript engine that holds Hugging Face's Jinja and one parsed template. Only one thread at a time may use it.
/// </summary>
/// <remarks>
/// Templates are untrusted. They have no access to .NET, their renderings share nothing, and time, memory, recursion
/// depth and the number of statements are limited.
/// </remarks>
internal sealed class TemplateEngine : IDisposable
{
    private static readonly TimeSpan s_maxTime = TimeSpan.FromSeconds(3);
    private const long MaxMemory = 512L << 20;
    private const int MaxStatements = 50_000_000;
    private const int MaxRecursion = 200;

    // The script is parsed once for all engines. The module's export list is cut off, because a script must not have
    // one.
    private static readonly Lazy<Prepared<Acornima.Ast.Script>> s_script = new(() => Engine.PrepareScript($$"""
        (function () {
        {{Library()}}
        return (template, tokens) => {
            const parsed = new Template(template);
            const variables = JSON.parse(tokens);
            return (messages, addGenerationPrompt) => parsed.render({
                messages: JSON.parse(messages), add_generation_prompt: addGenerationPrompt,
                tools: null, documents: null, ...variables,
            });
        };
        })()
        """, "huggingface-jinja.js"));

    private readonly Engine _engine;
    private readonly JsValue _render;
    private readonly string _where;

    /// <param name="template">The Jinja template.</param>
    /// <param name="tokens">The special tokens by name, as a JSON object.</param>
    /// <param name="where">The file, for error messages.</param>
    /// <exception cref="KoalaException">The template cannot be parsed.</exception>
    public TemplateEngine(string template, string tokens, string where)
    {
        _where = where;
        _engine = new Engine(options =>
        {
            options.Strict().DisableStringCompilation();
            options.LimitMemory(MaxMemory).TimeoutInterval(s_maxTime);
            options.MaxStatements(MaxStatements).LimitRecursion(MaxRecursion);
            // The recursion limit counts each function separately. Twenty functions that call each other in turn
            // overflow a small stack before any of them reaches it, which would end the process.
            options.Constraints.StackOverflowGuard = true;
        });
        _render = Run("cannot be parsed", () => _engine.Invoke(_engine.Evaluate(s_script.Value), template, tokens));
    }

    /// <summary>Renders a chat.</summary>
    /// <exception cref="KoalaException">
    /// The template throws or exceeds a limit; the engine must not be used again.
    /// </exception>
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
        catch (Exception e) when (e is JintException or TimeoutException
            or InsufficientExecutionStackException or OutOfMemoryException)
        {
            throw new KoalaException(_where,
                $"{fault} ({MessageText.Text(e.Message.TrimEnd('.'))})",
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
