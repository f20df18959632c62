using System.Text;

namespace Koala.Lab;

/// <summary>Makes text from an untrusted file suitable for a message of one line.</summary>
internal static class MessageText
{
    private const int MaxLength = 80;
    private const int MaxSentence = 240;
    private const int MaxItems = 8;

    /// <summary>Returns the text without control characters, cut off after 80 characters.</summary>
    internal static string Text(string text) => OneLine(text, MaxLength);

    /// <summary>
    /// Returns the message of a library's exception, which may quote the file, in one line without a full stop; cut off after 240
    /// characters.
    /// </summary>
    internal static string Sentence(string message) => OneLine(message.ReplaceLineEndings(" ").TrimEnd('.'), MaxSentence);

    /// <summary>Does the same for UTF-8 bytes as they are in the file, including escapes.</summary>
    internal static string Text(ReadOnlySpan<byte> utf8)
    {
        const int MaxBytes = 4 * MaxLength;
        return Text(Encoding.UTF8.GetString(utf8[..Math.Min(utf8.Length, MaxBytes)]) + (utf8.Length > MaxBytes ? "…" : ""));
    }

    /// <summary>Returns the first eight items of a list, and the number of the others.</summary>
    internal static string List(IReadOnlyCollection<string> items) =>
        string.Join(", ", items.Take(MaxItems).Select(Text)) + (items.Count > MaxItems ? $" and {items.Count - MaxItems} more" : "");

    private static string OneLine(string text, int length)
    {
        var cut = text.Length <= length ? text : $"{text.AsSpan(0, length)}…";
        return string.Concat(cut.Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));
    }

    /// <summary>Returns a shape in its usual form: [2, 3].</summary>
    internal static string Shape(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
