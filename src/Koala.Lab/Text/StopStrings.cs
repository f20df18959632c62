using System.Runtime.InteropServices;
using System.Text;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Text;

/// <summary>
/// Looks for stop strings in text that arrives in pieces; a stop string may extend over several pieces.
/// </summary>
/// <remarks>
/// The stop string that is complete first ends the text. If several are complete at once, the longest counts. A stop
/// string may contain special tokens, although they are no part of the text.
/// </remarks>
internal sealed class StopStrings
{
    // Texts are lists of symbols: UTF-16 units, and above them special tokens, each as one symbol.
    private const int FirstToken = char.MaxValue + 1;

    private readonly int[][] _stops;
    private readonly HashSet<int> _tokens;   // the special tokens in stop strings
    private List<int> _pending = [];         // the end of the text, which could become a stop string

    /// <param name="stops">The stop strings, none of which is empty; an empty list never stops.</param>
    /// <param name="tokenizer">The tokenizer that knows the special tokens; null if there are none.</param>
    /// <exception cref="KoalaException">A stop string is empty.</exception>
    public StopStrings(IReadOnlyList<string> stops, Tokenizer? tokenizer = null)
    {
        if (stops.Any(string.IsNullOrEmpty))
            throw new KoalaException(
                "stop string", "is empty, which would end every answer at once", "give the text that ends an answer");
        var matcher = new AddedTokenMatcher(tokenizer is null ? [] : tokenizer.AddedTokens.Where(token => token.Special)
            .Select(token => new AddedToken(token.Id, token.Content, Special: true)));
        // A model may also write the characters of a special token.
        _stops =
        [
            .. stops.Select(stop => matcher.Split(stop).SelectMany(part => Symbols(part.Text, part.Id)).ToArray()),
            .. stops.Where(stop => matcher.Split(stop).Any(part => part.Id is not null)).Select(stop => Symbols(stop, null).ToArray()),
        ];
        _tokens = [.. _stops.SelectMany(stop => stop).Where(symbol => symbol >= FirstToken).Select(symbol => symbol - FirstToken)];
    }

    /// <summary>Whether a stop string has occurred. What follows it is dropped.</summary>
    public bool Hit { get; private set; }

    /// <summary>Appends a piece of text.</summary>
    /// <returns>
    /// The text that is safe to show now: it is cut before a stop string, and without an end that could become one.
    /// </returns>
    public string Append(string piece) => Append(Symbols(piece, null));

    /// <summary>Whether a special token is part of a stop string. Other special tokens need not be appended.</summary>
    public bool Contains(int token) => _tokens.Contains(token);

    /// <summary>Appends a special token, which is no part of the text.</summary>
    /// <returns>The text that is safe to show now.</returns>
    public string Append(int token) => Append(Symbols("", token));

    /// <summary>Ends the text.</summary>
    /// <returns>The text that was held back.</returns>
    public string Flush()
    {
        var rest = Text(CollectionsMarshal.AsSpan(_pending));
        _pending = [];
        return rest;
    }

    private string Append(IEnumerable<int> symbols)
    {
        if (Hit) return "";
        _pending.AddRange(symbols);
        var text = CollectionsMarshal.AsSpan(_pending);
        Hit = FirstStop(text, out var safe);
        if (!Hit) safe = text.Length - PendingLength(text);
        var shown = Text(text[..safe]);
        if (Hit) _pending = [];
        else _pending.RemoveRange(0, safe);
        return shown;
    }

    private static IEnumerable<int> Symbols(string text, int? token) =>
        token is { } id ? [FirstToken + id] : text.Select(character => (int)character);

    // The text of symbols, without special tokens.
    private static string Text(ReadOnlySpan<int> symbols)
    {
        var text = new StringBuilder(symbols.Length);
        foreach (var symbol in symbols)
            if (symbol < FirstToken) text.Append((char)symbol);
        return text.ToString();
    }

    private bool FirstStop(ReadOnlySpan<int> text, out int start)
    {
        (int End, int Start)? first = null;
        foreach (var stop in _stops)
        {
            var at = text.IndexOf(stop);
            if (at < 0) continue;
            var found = (End: at + stop.Length, Start: at);
            if (first is null || found.CompareTo(first.Value) < 0) first = found;
        }
        start = first?.Start ?? 0;
        return first is not null;
    }

    // The length of the longest end of the text that is the beginning of a stop string.
    private int PendingLength(ReadOnlySpan<int> text)
    {
        var longest = 0;
        foreach (var stop in _stops)
            for (var length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
                if (text[^length..].SequenceEqual(stop.AsSpan(0, length))) longest = length;
        return longest;
    }
}
