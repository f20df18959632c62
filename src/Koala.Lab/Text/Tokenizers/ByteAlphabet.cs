using System.Text;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>The 256 characters that stand for bytes in a byte-level vocabulary.</summary>
/// <remarks>
/// This is GPT-2's table: printable Latin-1 bytes are themselves, and the other 68 bytes are U+0100 onwards.
/// </remarks>
internal static class ByteAlphabet
{
    private static readonly char[] s_characters = MakeCharacters();
    private static readonly Dictionary<char, byte> s_bytes =
        s_characters.Select((character, value) => KeyValuePair.Create(character, (byte)value)).ToDictionary();

    /// <summary>The UTF-8 bytes of a text, with one character per byte.</summary>
    public static string FromText(ReadOnlySpan<char> text)
    {
        Span<byte> bytes = text.Length <= 128 ? stackalloc byte[3 * text.Length] : new byte[Encoding.UTF8.GetByteCount(text)];
        var length = Encoding.UTF8.GetBytes(text, bytes);
        return string.Create(length, bytes[..length], (characters, source) =>
        {
            for (var i = 0; i < characters.Length; i++) characters[i] = s_characters[source[i]];
        });
    }

    /// <summary>
    /// The bytes of a token. For a token with a character outside the alphabet (an added token) they are its UTF-8
    /// bytes.
    /// </summary>
    public static byte[] ToBytes(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < token.Length; i++)
            if (!s_bytes.TryGetValue(token[i], out bytes[i])) return Encoding.UTF8.GetBytes(token);
        return bytes;
    }

    private static char[] MakeCharacters()
    {
        var characters = new char[256];
        var next = '\u0100';
        for (var b = 0; b < 256; b++)
            characters[b] = b is >= 0x21 and <= 0x7e or >= 0xa1 and <= 0xac or >= 0xae ? (char)b : next++;
        return characters;
    }
}
