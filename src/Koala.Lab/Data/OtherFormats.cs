using Koala.Lab.Checkpoints;

namespace Koala.Lab.Data;

/// <summary>
/// Widespread formats of chats that are not read. They are recognised, so that a message can say what was found and how
/// to convert it.
/// </summary>
internal static class OtherFormats
{
    private const string PutInto = "put each chat into messages, a list of objects with role and content";

    private static readonly string[] s_lists = ["dialogue", "dialog", "chat"];

    private static readonly (string Question, string Answer, string Name)[] s_pairs =
    [
        ("instruction", "output", " (Alpaca)"), ("prompt", "completion", ""), ("prompt", "response", ""),
        ("instruction", "response", ""), ("query", "response", ""), ("question", "answer", ""),
    ];

    /// <summary>The fault of a line that has no <c>messages</c>.</summary>
    /// <param name="row">The line.</param>
    /// <param name="key">The key that is missing.</param>
    /// <param name="fault">What is said of a line of no known format.</param>
    /// <param name="fix">What is advised for it.</param>
    public static KoalaException Missing(JsonSection row, string key, string fault, string fix)
    {
        if (s_lists.FirstOrDefault(row.Has) is { } list)
            return row.Fault(key, $"is missing, but the line has {list}", $"rename {list} to messages, objects with role and content");
        foreach (var (question, answer, name) in s_pairs)
            if (row.Has(question) && row.Has(answer))
                return row.Fault(key, $"is missing, but the line has {question} and {answer}{name}",
                    $"{PutInto}: {question}{(row.Has("input") ? " and input" : "")} as user, {answer} as assistant");
        return row.Has("chosen") && row.Has("rejected")
            ? row.Fault(key, "is missing, but the line has chosen and rejected (preferences)", $"{PutInto}: the chosen one")
            : row.Fault(key, fault, fix);
    }
}
