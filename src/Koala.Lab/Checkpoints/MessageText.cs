using System.Text;

namespace Koala.Lab.Checkpoints;

/// <summary>Text out of a stranger's file, made fit for a message of one line.</summary>
internal static class MessageText
{
    private const int Longest = 80;
    private const int Most = 8;

    /// <summary>The text without control characters, cut after 80 characters.</summary>
    internal static string Text(string text)
    {
        var cut = text.Length <= Longest ? text : $"{text.AsSpan(0, Longest)}…";
        return string.Concat(cut.Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));
    }

    /// <summary>The same of UTF-8 bytes as they stand in the file, escapes included.</summary>
    internal static string Text(ReadOnlySpan<byte> utf8) =>
        Text(Encoding.UTF8.GetString(utf8[..Math.Min(utf8.Length, 4 * Longest)]) + (utf8.Length > 4 * Longest ? "…" : ""));

    /// <summary>The first eight of a list, and how many more there are.</summary>
    internal static string List(IReadOnlyCollection<string> items) =>
        string.Join(", ", items.Take(Most).Select(Text)) + (items.Count > Most ? $" and {items.Count - Most} more" : "");

    /// <summary>A shape as it is written: [2, 3].</summary>
    internal static string Shape(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
