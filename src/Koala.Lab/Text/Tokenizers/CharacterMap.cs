using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>
/// A SentencePiece model's table of characters that are replaced before a text is cut into pieces (<c>precompiled_charsmap</c>).
/// </summary>
/// <remarks>
/// The table is a trie over UTF-8 bytes, a double array as Darts-clone writes it, and the replacements, each of which ends with a zero.
/// </remarks>
internal sealed class CharacterMap
{
    // Longer clusters are replaced character by character, as Hugging Face's library does.
    private const int LongestCluster = 5;

    private readonly uint[] _units;
    private readonly byte[] _replacements;

    private CharacterMap(uint[] units, byte[] replacements) => (_units, _replacements) = (units, replacements);

    /// <summary>Reads a table.</summary>
    /// <returns>null if the bytes are no such table.</returns>
    public static CharacterMap? TryRead(ReadOnlySpan<byte> bytes)
    {
        if (!BinaryPrimitives.TryReadUInt32LittleEndian(bytes, out var length)) return null;
        bytes = bytes[sizeof(uint)..];
        if (length is 0 || length % sizeof(uint) != 0 || length > bytes.Length) return null;
        var units = new uint[length / sizeof(uint)];
        for (var i = 0; i < units.Length; i++) units[i] = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(i * sizeof(uint))..]);
        return new CharacterMap(units, bytes[(int)length..].ToArray());
    }

    /// <summary>The text as SentencePiece replaces it: at each position the longest entry of the table.</summary>
    public string ReplaceLongest(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var result = new List<byte>(bytes.Length);
        for (var at = 0; at < bytes.Length;)
        {
            var (length, replacement) = Entries(bytes.AsMemory(at)).LastOrDefault();
            if (length == 0)
            {
                // The text is valid, so a character is whole.
                Rune.DecodeFromUtf8(bytes.AsSpan(at), out _, out length);
                result.AddRange(bytes.AsSpan(at, length));
            }
            else result.AddRange(Replacement(replacement));
            at += length;
        }
        return Encoding.UTF8.GetString([.. result]);
    }

    /// <summary>
    /// The text as Hugging Face's library replaces it: short clusters of characters as a whole, otherwise character by character; each by
    /// the shortest entry that it begins with.
    /// </summary>
    public string ReplaceClusters(string text)
    {
        var result = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length;)
        {
            var cluster = text.AsSpan(at, StringInfo.GetNextTextElementLength(text, at));
            at += cluster.Length;
            if (Encoding.UTF8.GetByteCount(cluster) <= LongestCluster && Shortest(cluster) is { } whole) result.Append(whole);
            else
                foreach (var rune in cluster.EnumerateRunes())
                    result.Append(Shortest(rune.ToString()) ?? rune.ToString());
        }
        return result.ToString();
    }

    private string? Shortest(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        var (length, replacement) = Entries(bytes).FirstOrDefault();
        return length == 0 ? null : Encoding.UTF8.GetString(Replacement(replacement));
    }

    // The entries that the bytes begin with, shortest first, each with the offset of its replacement.
    private IEnumerable<(int Length, int Replacement)> Entries(ReadOnlyMemory<byte> bytes)
    {
        var node = Offset(_units[0]);
        for (var i = 0; i < bytes.Length && bytes.Span[i] != 0; i++)
        {
            node ^= bytes.Span[i];
            if (node >= _units.Length || Label(_units[node]) != bytes.Span[i]) yield break;
            var unit = _units[node];
            node ^= Offset(unit);
            if (HasValue(unit) && node < _units.Length) yield return (i + 1, (int)(_units[node] & int.MaxValue));
        }
    }

    private ReadOnlySpan<byte> Replacement(int offset)
    {
        if (offset >= _replacements.Length) return [];
        var rest = _replacements.AsSpan(offset);
        return rest.IndexOf((byte)0) is var end and >= 0 ? rest[..end] : rest;
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 0x200) >> 6);

    private static bool HasValue(uint unit) => (unit & 0x100) != 0;

    // The highest bit marks a value, which is no byte.
    private static uint Label(uint unit) => unit & 0x8000_00ff;
}
