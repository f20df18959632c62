using System.Globalization;
using System.Text;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>How a vocabulary writes text: which bytes each token stands for.</summary>
internal sealed record TokenSpelling
{
    /// <summary>The character that stands for a space in SentencePiece's vocabularies.</summary>
    public const string SpaceMark = "\u2581";

    /// <summary>Every character of a token stands for a byte (<see cref="ByteAlphabet"/>).</summary>
    public static TokenSpelling ByteLevel { get; } = new() { IsByteLevel = true };

    /// <summary>SentencePiece's: tokens are text with ▁ for a space, and <c>&lt;0x0A&gt;</c> stands for a byte.</summary>
    public static TokenSpelling SentencePiece { get; } = new() { HasByteTokens = true, Replacements = [(SpaceMark, " ")] };

    /// <summary>Whether tokens are written in the <see cref="ByteAlphabet"/>.</summary>
    public bool IsByteLevel { get; init; }

    /// <summary>Whether tokens like <c>&lt;0x0A&gt;</c> stand for single bytes.</summary>
    public bool HasByteTokens { get; init; }

    /// <summary>What is replaced in a token, in order.</summary>
    public IReadOnlyList<(string From, string To)> Replacements { get; init; } = [];

    /// <summary>The spaces of the first token that encoding has put there and decoding drops.</summary>
    public LeadingSpaces Leading { get; init; }

    /// <summary>The token of a byte.</summary>
    public static string ByteToken(byte value) => $"<0x{value:X2}>";

    /// <summary>The bytes of a token.</summary>
    /// <param name="token">The token as the vocabulary writes it.</param>
    public byte[] Bytes(string token)
    {
        if (IsByteLevel) return ByteAlphabet.ToBytes(token);
        if (HasByteTokens && ByteOf(token) is { } value) return [value];
        foreach (var (from, to) in Replacements) token = token.Replace(from, to, StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(token);
    }

    /// <summary>What is left of the bytes of a text's first token.</summary>
    public ReadOnlySpan<byte> WithoutLeading(ReadOnlySpan<byte> bytes) => Leading switch
    {
        LeadingSpaces.DropOne when bytes.StartsWith(" "u8) => bytes[1..],
        LeadingSpaces.DropAll => bytes.TrimStart((byte)' '),
        _ => bytes,
    };

    /// <summary>The byte that a token like <c>&lt;0x0A&gt;</c> stands for; null for other tokens.</summary>
    public static byte? ByteOf(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;
}

/// <summary>What decoding does with the spaces that a text's first token begins with.</summary>
internal enum LeadingSpaces
{
    /// <summary>They stay.</summary>
    Keep,

    /// <summary>One of them is dropped.</summary>
    DropOne,

    /// <summary>All of them are dropped.</summary>
    DropAll,
}
