using System.Text.Json;
using Jint;
using Jint.Native;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Text.Chat;

/// <summary>
/// A JavaScript engine that holds Hugging Face's Jinja and one parsed template. Only one thread at a time may use it.
/// </summary>
/// <remarks>
/// Templates are untrusted. They have no access to .NET, their renderings share nothing, and processor time, memory,
/// the lengths of templates and lists, recursion depth and the number of statements are limited.
/// </remarks>
internal sealed class TemplateEngine : IDisposable
{
    private const int MaxStatements = 50_000_000;
    private const int MaxRecursion = 200;
    private const int MaxList = 1 << 20;

    // The script is parsed once for all engines. The module's export list is cut off, because a script must not have
    // one.
    private static readonly Lazy<Prepared<Acornima.Ast.Script>> s_script = new(() => Engine.PrepareScript($$"""
        (function () {
        {{Library()}}
        {{EmbeddedFile.Read("Limits.js")}}
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

    private static readonly Message s_any = new(Message.User, "");

    private static readonly Lazy<Task> s_warmUp = new(() => Task.Run(() =>
    {
        using var engine = new TemplateEngine("{{ messages[0].content }}", "{}", "the first template", TemplateRoom.For([s_any]));
        return engine.Render([s_any], addGenerationPrompt: false);
    }));

    private readonly Engine _engine;
    private readonly JsValue _render;
    private readonly string _where;

    /// <param name="template">The Jinja template.</param>
    /// <param name="tokens">The special tokens by name, as a JSON object.</param>
    /// <param name="where">The file, for error messages.</param>
    /// <param name="room">The chats that the engine has to render.</param>
    /// <exception cref="KoalaException">The template cannot be parsed.</exception>
    public TemplateEngine(string template, string tokens, string where, TemplateRoom room)
    {
        (_where, Room) = (where, room);
        if (template.Length > TemplateSource.MaxLength)
            throw Fault($"has {template.Length} characters, but at most {TemplateSource.MaxLength} are read, "
                + "four times as many as the longest template of a model has");
        _engine = new Engine(options =>
        {
            options.Strict().DisableStringCompilation();
            options.LimitMemory(room.Memory).Constraint(new ProcessorTimeLimit(room.Time));
            options.MaxStatements(MaxStatements).LimitRecursion(MaxRecursion);
            options.Constraints.MaxArraySize = MaxList;
            // The recursion limit counts each function separately. Twenty functions that call each other in turn
            // overflow a small stack before any of them reaches it, which would end the process.
            options.Constraints.StackOverflowGuard = true;
        });
        // What the library itself takes does not count.
        var parse = _engine.Evaluate(s_script.Value);
        _render = Run("cannot be parsed", () => _engine.Invoke(parse, TemplateSource.Prepare(template), tokens));
    }

    /// <summary>
    /// Compiles the engine's code on another thread, once per process. That takes half a second, in which a target reads its weights.
    /// </summary>
    public static void WarmUp() => _ = s_warmUp.Value;

    /// <summary>The chats that the engine can render.</summary>
    public TemplateRoom Room { get; }

    /// <summary>Renders a chat.</summary>
    /// <exception cref="KoalaException">
    /// The template throws or exceeds a limit; the engine must not be used again.
    /// </exception>
    public string Render(IReadOnlyList<Message> messages, bool addGenerationPrompt)
    {
        var json = JsonSerializer.Serialize(messages.Select(m => new { role = m.Role, content = m.Content }));
        return Run("cannot be rendered", () => _engine.Invoke(_render, json, addGenerationPrompt).AsString());
    }

    public void Dispose() => _engine.Dispose();

    private T Run<T>(string fault, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is not KoalaException)
        {
            // Whatever happens in the engine happens because of the template.
            throw Fault($"{fault} ({MessageText.Text(e.Message.TrimEnd('.'))})", e);
        }
    }

    private KoalaException Fault(string fault, Exception? inner = null) =>
        new(_where, fault, $"correct the template or the roles of the messages, or use {new OptionName("Raw")}", inner);

    private static string Library()
    {
        var text = EmbeddedFile.Read("huggingface-jinja.js.gz");
        return text[..text.LastIndexOf("export {", StringComparison.Ordinal)];
    }
}
