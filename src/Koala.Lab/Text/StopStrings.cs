namespace Koala.Lab.Text;

/// <summary>
/// Looks for stop strings in text that arrives in pieces; a stop string may extend over several pieces.
/// </summary>
/// <remarks>
/// The stop string that is complete first ends the text. If several are complete at once, the longest counts.
/// </remarks>
internal sealed class StopStrings
{
    private readonly IReadOnlyList<string> _stops;
    private string _pending = "";   // the end of the text, which could become a stop string

    /// <param name="stops">The stop strings, none of which is empty; an empty list never stops.</param>
    /// <exception cref="KoalaException">A stop string is empty.</exception>
    public StopStrings(IReadOnlyList<string> stops)
    {
        if (stops.Any(string.IsNullOrEmpty))
            throw new KoalaException(
                "stop string", "is empty, which would end every answer at once", "give the text that ends an answer");
        _stops = stops;
    }

    /// <summary>Whether a stop string has occurred. What follows it is dropped.</summary>
    public bool Hit { get; private set; }

    /// <summary>Appends a piece of text.</summary>
    /// <returns>
    /// The text that is safe to show now: it is cut before a stop string, and without an end that could become one.
    /// </returns>
    public string Append(string piece)
    {
        if (Hit) return "";
        var text = _pending + piece;
        if (FirstStop(text) is { } stop)
        {
            (Hit, _pending) = (true, "");
            return text[..stop];
        }
        var safe = text.Length - PendingLength(text);
        _pending = text[safe..];
        return text[..safe];
    }

    /// <summary>Ends the text.</summary>
    /// <returns>The text that was held back.</returns>
    public string Flush()
    {
        var rest = _pending;
        _pending = "";
        return rest;
    }

    private int? FirstStop(string text)
    {
        (int End, int Start)? first = null;
        foreach (var stop in _stops)
        {
            var start = text.IndexOf(stop, StringComparison.Ordinal);
            if (start < 0) continue;
            var found = (End: start + stop.Length, Start: start);
            if (first is null || found.CompareTo(first.Value) < 0) first = found;
        }
        return first?.Start;
    }

    // The length of the longest end of the text that is the beginning of a stop string.
    private int PendingLength(string text)
    {
        var longest = 0;
        foreach (var stop in _stops)
            for (var length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
                if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length))) longest = length;
        return longest;
    }
}
