namespace Koala.Lab.Text;

/// <summary>Looks for stop strings in text that comes in pieces, wherever the pieces part.</summary>
/// <remarks>The stop that is complete first ends the text; of those complete at once, the longest.</remarks>
public sealed class StopStrings
{
    private readonly IReadOnlyList<string> _stops;
    private string _held = "";

    /// <param name="stops">The stop strings, none empty; an empty list never stops.</param>
    /// <exception cref="KoalaException">A stop string is empty.</exception>
    public StopStrings(IReadOnlyList<string> stops)
    {
        if (stops.Any(string.IsNullOrEmpty)) throw new KoalaException("stop string", "is empty, which would end every answer at once", "give the text that ends an answer");
        _stops = stops;
    }

    /// <summary>Whether a stop string has come; what follows it is dropped.</summary>
    public bool Hit { get; private set; }

    /// <returns>The text now safe to show: cut before the stop, without an end that could become one.</returns>
    public string Append(string piece)
    {
        if (Hit) return "";
        var text = _held + piece;
        if (FirstStop(text) is { } stop)
        {
            (Hit, _held) = (true, "");
            return text[..stop];
        }
        var safe = text.Length - Doubtful(text);
        _held = text[safe..];
        return text[..safe];
    }

    /// <returns>What was held back: no more text comes.</returns>
    public string Flush()
    {
        var rest = _held;
        _held = "";
        return rest;
    }

    private int? FirstStop(string text)
    {
        (int End, int Start)? first = null;
        foreach (var stop in _stops)
        {
            var start = text.IndexOf(stop, StringComparison.Ordinal);
            if (start >= 0 && (first is null || (start + stop.Length, start).CompareTo(first.Value) < 0)) first = (start + stop.Length, start);
        }
        return first?.Start;
    }

    // The longest end of the text that begins a stop string.
    private int Doubtful(string text)
    {
        var longest = 0;
        foreach (var stop in _stops)
            for (var length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
                if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length))) longest = length;
        return longest;
    }
}
