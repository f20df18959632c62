using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>Reads files of prompts.</summary>
public static class Prompts
{
    // In the order in which they are looked for.
    private static readonly string[] s_turnsKeys = ["turns", "prompt", "question", "history", "text"];

    /// <summary>
    /// Reads a file whose lines have one of: <c>turns</c> (question files of MT-bench, Vicuna, Spec-Bench, EAGLE), <c>messages</c>, <c>prompt</c>
    /// (with <c>task_id</c> and <c>entry_point</c>, HumanEval: see <see cref="CodeRequest"/>), <c>question</c> (GSM8K), <c>text</c> (MBPP),
    /// <c>history</c> (MT-Bench-101: the <c>user</c> texts).
    /// </summary>
    /// <param name="path">A .jsonl file, or .jsonl.gz.</param>
    /// <param name="limit">The first so many of those chosen; null: all.</param>
    /// <param name="categories">Which categories; null or empty: all.</param>
    /// <returns>In the order of the file; the id is <c>question_id</c>, <c>task_id</c> or <c>id</c>, else the line number.</returns>
    /// <exception cref="KoalaException">The file cannot be read or is empty, a line has another form (file:line), a category is not there, or the limit is below 1.</exception>
    public static IReadOnlyList<Prompt> Load(string path, int? limit = null, IReadOnlyList<string>? categories = null)
    {
        CheckLimit(limit);
        Prompt[] prompts = [.. JsonLines.Read(path).Select(line => Read(line.Row, line.Line))];
        IEnumerable<Prompt> chosen = prompts;
        if (categories is { Count: > 0 })
        {
            string[] there = [.. prompts.Select(p => p.Category).Where(c => c.Length > 0).Distinct().Order(StringComparer.Ordinal)];
            if (categories.FirstOrDefault(c => !there.Contains(c)) is { } unknown)
                throw KoalaException.ForOption(nameof(categories), $"names '{MessageText.Text(unknown)}', which {path} does not have",
                    there.Length == 0 ? "leave it out: the file has no categories" : $"choose from {string.Join(", ", there.Select(MessageText.Text))}");
            chosen = prompts.Where(p => categories.Contains(p.Category));
        }
        return [.. chosen.Take(limit ?? int.MaxValue)];
    }

    /// <summary>How a chat model is asked to go on with code: HumanEval's prompts are beginnings of a file, written for models that only continue text.</summary>
    public static string CodeRequest(string code) => $"Complete this Python function.\n\n```python\n{code.TrimEnd('\n')}\n```";

    internal static void CheckLimit(int? limit)
    {
        if (limit < 1)
            throw KoalaException.ForOption(nameof(limit), $"is {limit}, but at least one prompt is needed",
                "set it to 1 or more, or leave it out");
    }

    private static Prompt Read(JsonSection row, int line)
    {
        var id = IdOf(row, line);
        var category = row.OptionalText("category") ?? "";
        if (row.Has("messages"))
        {
            var messages = MessageList.Read(row);
            if (messages[^1].Role != Message.User) throw row.Fault("messages", "does not end with a user message, which is to be answered", "end it with one");
            return new Prompt(id, category, [.. messages.Where(m => m.Role == Message.User).Select(m => m.Content)], messages);
        }
        return new Prompt(id, category, Turns(row), null);
    }

    /// <summary>Which key of a line says what the user asks, turn by turn.</summary>
    internal static string TurnsKey(JsonSection row) => s_turnsKeys.FirstOrDefault(row.Has)
        ?? throw row.Fault("prompt", "is missing, and so are turns, messages, question, text and history", "give the line one of them");

    /// <summary>What the user asks, turn by turn.</summary>
    internal static IReadOnlyList<string> Turns(JsonSection row) => TurnsKey(row) switch
    {
        "turns" => Filled(row, "turns", row.Texts("turns")),
        "prompt" when row.Has("entry_point") => [CodeRequest(row.Text("prompt"))],
        "history" => Filled(row, "history", [.. row.Items("history").Select(h => h.Text("user"))]),
        var key => [row.Text(key)],
    };

    /// <summary>What names a line: <c>question_id</c>, <c>task_id</c> or <c>id</c>, else its number.</summary>
    internal static string IdOf(JsonSection row, int line) => Id(row, "question_id") ?? Id(row, "task_id") ?? Id(row, "id") ?? $"{line}";

    private static IReadOnlyList<string> Filled(JsonSection row, string key, IReadOnlyList<string> turns) =>
        turns.Count > 0 ? turns : throw row.Fault(key, "is empty", "give it a turn");

    private static string? Id(JsonSection row, string key) => row.Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        { ValueKind: JsonValueKind.Number } number => number.GetRawText(),
        { } other => throw row.Fault(key, $"is {MessageText.Text(other.GetRawText())}, but a string or a number is expected", "correct the line"),
    };
}
