using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>Reads files of complete chats.</summary>
internal static class Conversations
{
    /// <summary>
    /// Reads rows with <c>messages</c> (objects with <c>role</c> and <c>content</c>, a text or a list of texts) or ShareGPT's
    /// <c>conversations</c> (<c>from</c>, <c>value</c>). Optional are <c>id</c> (default: the line number), <c>source</c>,
    /// <c>licence</c> and <c>category</c> (default: empty) and <c>done</c> (default: true).
    /// </summary>
    /// <param name="path">A file or folder that <see cref="InputRows"/> reads.</param>
    /// <param name="unusable">
    /// Receives the objects that are not of this form. If it is null, or no line is of this form, the first one is an error.
    /// </param>
    /// <exception cref="KoalaException">
    /// The file cannot be read or is empty, a line is not a JSON object, or no line is of this form (file:line).
    /// </exception>
    public static IReadOnlyList<Conversation> Load(string path, UnusableChats? unusable = null) => [.. Stream(path, unusable)];

    /// <summary>As <see cref="Load"/>, one after another, so that only those in use are in memory.</summary>
    public static IEnumerable<Conversation> Stream(string path, UnusableChats? unusable)
    {
        var any = false;
        foreach (var (line, row) in InputRows.Read(path))
        {
            Conversation chat;
            try
            {
                chat = Read(row, line);
            }
            catch (KoalaException fault) when (unusable is not null)
            {
                unusable.Add(new UnusableChat(line, fault));
                continue;
            }
            any = true;
            yield return chat;
        }
        if (!any) throw unusable!.First[0].Fault;
    }

    /// <summary>Reads a row.</summary>
    /// <exception cref="KoalaException">The row is not of this form.</exception>
    internal static Conversation Read(JsonSection row, int line) => new(
        Prompts.IdOf(row, line),
        row.OptionalText("source") ?? "",
        row.OptionalText("licence") ?? "",
        row.OptionalText("category") ?? "",
        MessageList.Read(row),
        row.Boolean("done", true),
        line);
}
