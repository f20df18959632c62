using System.Text;
using Koala.Lab.Text;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Decoding;

/// <summary>The text of an answer that grows: the text that is certain so far, cut before a stop text.</summary>
internal sealed class SequenceText(Tokenizer tokenizer, IReadOnlyList<string> stop)
{
    private readonly StreamingDetokenizer _detokenizer = new(tokenizer);
    private readonly StopStrings _stop = new(stop, tokenizer);
    private readonly StringBuilder _text = new();

    /// <summary>Whether the answer has reached a stop text.</summary>
    public bool Stopped => _stop.Hit;

    /// <summary>All text so far.</summary>
    public string Text => _text.ToString();

    /// <returns>The text that became certain with this token.</returns>
    public string Append(int token) => Keep(_stop.Contains(token)
        // A character that a special token interrupts stays unfinished.
        ? _stop.Append(_detokenizer.Flush()) + _stop.Append(token)
        : _stop.Append(_detokenizer.Append(token)));

    /// <returns>The text that was held back.</returns>
    public string Complete() => Stopped ? "" : Keep(_stop.Append(_detokenizer.Flush()) + _stop.Flush());

    private string Keep(string text)
    {
        _text.Append(text);
        return text;
    }
}
