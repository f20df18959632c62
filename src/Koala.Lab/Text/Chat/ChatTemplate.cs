using System.Collections.Concurrent;
using System.Text.Json;

namespace Koala.Lab.Text.Chat;

/// <summary>
/// A model's format of a chat: a Jinja template, which Hugging Face's own Jinja renders under limits. It is safe to use
/// from many threads.
/// </summary>
public sealed class ChatTemplate
{
    private readonly string _text;
    private readonly string _tokens;
    private readonly string _where;
    private readonly ConcurrentBag<TemplateEngine> _idle = [];

    /// <param name="text">The template.</param>
    /// <param name="tokens">The special tokens by the names that templates know: bos_token, eos_token, …</param>
    /// <param name="where">The file, for error messages.</param>
    internal ChatTemplate(string text, IReadOnlyDictionary<string, string> tokens, string where)
    {
        (_text, _where) = (text, where);
        _tokens = JsonSerializer.Serialize(tokens.OrderBy(t => t.Key, StringComparer.Ordinal).ToDictionary());
        TemplateEngine.WarmUp();
    }

    /// <summary>Everything that decides how a chat is rendered.</summary>
    internal string Identity => $"{_tokens}\n{_text}";

    /// <summary>Renders a chat as text.</summary>
    /// <param name="messages">The messages in their order.</param>
    /// <param name="addGenerationPrompt">Whether the text ends where the assistant is to begin.</param>
    /// <exception cref="KoalaException">
    /// The template throws, is too long, or needs more processor time or memory than its chats can need.
    /// </exception>
    public string Render(IReadOnlyList<Message> messages, bool addGenerationPrompt)
    {
        var room = TemplateRoom.For(messages);
        if (_idle.TryTake(out var engine) && !engine.Room.Holds(room))
        {
            // The new engine holds what this one did: chats of different shapes must not replace one engine by another again and again.
            room = new TemplateRoom(Math.Max(room.Messages, engine.Room.Messages), Math.Max(room.Length, engine.Room.Length));
            engine.Dispose();
            engine = null;
        }
        engine ??= new TemplateEngine(_text, _tokens, _where, room.RoundUp());
        try
        {
            var text = engine.Render(messages, addGenerationPrompt);
            _idle.Add(engine);
            return text;
        }
        catch
        {
            // A failed rendering may leave something behind in its engine, so the next one gets another engine.
            engine.Dispose();
            throw;
        }
    }
}
