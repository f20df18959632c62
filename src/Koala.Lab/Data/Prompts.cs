using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Data;

/// <summary>Reads files of prompts.</summary>
public static class Prompts
{
    // The keys in the order in which they are looked for.
    private static readonly string[] s_turnsKeys = ["turns", "prompt", "question", "history", "text"];

    /// <summary>
    /// Reads a file whose lines have one of: <c>turns</c> (question files of MT-bench, Vicuna, Spec-Bench, EAGLE),
    /// <c>messages</c>, <c>prompt</c> (with <c>task_id</c> and <c>entry_point</c>, HumanEval: see
    /// <see cref="CodeRequest"/>), <c>question</c> (GSM8K), <c>text</c> (MBPP), <c>history</c> (MT-Bench-101: the
    /// <c>user</c> texts).
    /// </summary>
    /// <param name="path">A file of JSON lines (.jsonl, .jsonl.gz), a JSON array, a Parquet file, or a data set's folder.</param>
    /// <param name="limit">How many of the chosen prompts to take from the beginning; null means all.</param>
    /// <param name="categories">The categories to choose; null or empty means all.</param>
    /// <returns>
    /// The prompts in the order of the file. The id is <c>question_id</c>, <c>task_id</c> or <c>id</c>, or else the
    /// line number.
    /// </returns>
    /// <exception cref="KoalaException">
    /// The file cannot be read or is empty, a line has another form (file:line), the file lacks a category, or the
    /// limit is below 1.
    /// </exception>
    public static IReadOnlyList<Prompt> Load(string path, int? limit = null, IReadOnlyList<string>? categories = null)
    {
        CheckLimit(limit);
        var chosen = new List<Prompt>();
        var missing = new HashSet<string>(categories ?? []);
        var isEveryCategory = missing.Count == 0;
        var existing = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var (line, row) in InputRows.Read(path))
        {
            var prompt = Read(row, line);
            missing.Remove(prompt.Category);
            if (!isEveryCategory && prompt.Category.Length > 0) existing.Add(prompt.Category);
            var isChosen = isEveryCategory || categories!.Contains(prompt.Category);
            if (isChosen && chosen.Count < (limit ?? int.MaxValue)) chosen.Add(prompt);
            // A name that no prompt has is a mistake, so the file is read until every category was seen.
            if (chosen.Count == limit && missing.Count == 0) break;
        }
        return missing.Count == 0 ? chosen : throw UnknownCategory(path, missing.First(), existing);
    }

    /// <summary>
    /// The request to a chat model to continue code. HumanEval's prompts are beginnings of a file, written for models
    /// that only continue text.
    /// </summary>
    public static string CodeRequest(string code) =>
        $"Complete this Python function.\n\n```python\n{code.TrimEnd('\n')}\n```";

    internal static void CheckLimit(int? limit)
    {
        if (limit < 1)
            throw KoalaException.ForOption(nameof(limit), $"is {limit}, but at least one prompt is needed",
                "set it to 1 or more, or leave it out");
    }

    private static KoalaException UnknownCategory(string path, string unknown, SortedSet<string> categories) =>
        KoalaException.ForOption(
            nameof(categories),
            $"names '{MessageText.Text(unknown)}', which {path} does not have",
            categories.Count == 0
                ? "leave it out: the file has no categories"
                : $"choose from {string.Join(", ", categories.Select(MessageText.Text))}");

    private static Prompt Read(JsonSection row, int line)
    {
        var id = IdOf(row, line);
        var category = row.OptionalText("category") ?? "";
        if (MessageList.KeyOf(row) is { } key)
        {
            var messages = MessageList.Read(row);
            if (messages[^1].Role != Message.User)
                throw row.Fault(key,
                    $"does not end with a user message, which is to be answered{Roles.Seen(messages)}", "end it with one");
            string[] turns = [.. messages.Where(m => m.Role == Message.User).Select(m => m.Content)];
            return new Prompt(id, category, turns, messages);
        }
        return new Prompt(id, category, Turns(row), null);
    }

    /// <summary>The key of a line that holds the user's turns.</summary>
    internal static string TurnsKey(JsonSection row) => s_turnsKeys.FirstOrDefault(row.Has)
        ?? throw OtherFormats.Missing(
            row, "prompt", "is missing, and so are turns, messages, question, text and history", "give the line one of them");

    /// <summary>The user's turns in order.</summary>
    internal static IReadOnlyList<string> Turns(JsonSection row) => TurnsKey(row) switch
    {
        "turns" => RequireAny(row, "turns", row.Texts("turns")),
        "prompt" when row.Has("entry_point") => [CodeRequest(row.Text("prompt"))],
        "history" => RequireAny(row, "history", [.. row.Items("history").Select(h => h.Text("user"))]),
        var key => [row.Text(key)],
    };

    /// <summary>What identifies a line: <c>question_id</c>, <c>task_id</c> or <c>id</c>, or else its number.</summary>
    internal static string IdOf(JsonSection row, int line) =>
        Id(row, "question_id") ?? Id(row, "task_id") ?? Id(row, "id") ?? $"{line}";

    private static IReadOnlyList<string> RequireAny(JsonSection row, string key, IReadOnlyList<string> turns) =>
        turns.Count > 0 ? turns : throw row.Fault(key, "is empty", "give it a turn");

    private static string? Id(JsonSection row, string key) => row.Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        { ValueKind: JsonValueKind.Number } number => number.GetRawText(),
        { } other => throw row.Fault(
            key, $"is {MessageText.Text(other.GetRawText())}, but a string or a number is expected", "correct the line"),
    };
}
