using System.Text;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>
/// Turns tokens into text as they arrive. It holds back the bytes of an unfinished character and nothing else. Special
/// tokens are skipped.
/// </summary>
/// <param name="tokenizer">The target's tokenizer.</param>
internal sealed class StreamingDetokenizer(Tokenizer tokenizer)
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private bool _isFirst = true;

    /// <summary>Appends a token.</summary>
    /// <returns>The text that became certain with this token.</returns>
    public string Append(int token) => tokenizer.IsSpecial(token) ? "" : Take(tokenizer.Bytes(token, ref _isFirst), flush: false);

    /// <summary>Ends the text.</summary>
    /// <returns>What was held back: U+FFFD if a character is unfinished, otherwise nothing.</returns>
    public string Flush() => Take([], flush: true);

    private string Take(ReadOnlySpan<byte> bytes, bool flush)
    {
        var characters = new char[_decoder.GetCharCount(bytes, flush)];
        return new string(characters, 0, _decoder.GetChars(bytes, characters, flush));
    }
}
