using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Koala.Lab.Data;

/// <summary>
/// The cache file of packed rows: the hash of what it was made from, counts, the rows, and a SHA-256 of all of it at
/// the end.
/// </summary>
/// <remarks>
/// A row is the lengths of its segments (positions and segments follow from them), its tokens, and its mask with one
/// byte per token.
/// </remarks>
internal static class PackedFile
{
    /// <summary>
    /// A part of the hash of the rows. Raise it whenever the same input would give other rows: runs that were begun
    /// before cannot be resumed then.
    /// </summary>
    public const int Version = 1;

    /// <summary>A part of the file's name. Raise it whenever the same rows would give another file.</summary>
    public const int Format = 2;

    public static void Write(Stream stream, PackedConversations packed)
    {
        using var memory = new MemoryStream();
        using (var writer = new BinaryWriter(memory, System.Text.Encoding.UTF8, leaveOpen: true))
        {
            writer.Write(packed.Hash);
            writer.Write(packed.Conversations);
            writer.Write(packed.Tokens);
            writer.Write(packed.Cut);
            writer.Write(packed.Unusable);
            writer.Write(packed.FirstUnusable);
            writer.Write(packed.Rows.Count);
            foreach (var row in packed.Rows)
            {
                int[] lengths = [.. row.Segments.CountBy(s => s).Select(s => s.Value)];
                writer.Write(lengths.Length);
                writer.Write(MemoryMarshal.AsBytes<int>(lengths));
                writer.Write(MemoryMarshal.AsBytes<int>(row.Tokens));
                writer.Write(MemoryMarshal.AsBytes<bool>(row.LossMask));
            }
        }
        var bytes = memory.GetBuffer().AsSpan(0, (int)memory.Length);
        stream.Write(bytes);
        stream.Write(SHA256.HashData(bytes));
    }

    /// <returns>The rows, or null where the bytes are not what <see cref="Write"/> wrote for this hash.</returns>
    public static PackedConversations? Read(byte[] file, string hash, int rowLength)
    {
        var end = file.Length - SHA256.HashSizeInBytes;
        if (end < 0 || !SHA256.HashData(file.AsSpan(0, end)).AsSpan().SequenceEqual(file.AsSpan(end))) return null;
        using var reader = new BinaryReader(new MemoryStream(file, 0, end));
        if (reader.ReadString() != hash) return null;
        var (conversations, tokens, cut) = (reader.ReadInt32(), reader.ReadInt64(), reader.ReadInt32());
        var (unusable, firstUnusable) = (reader.ReadInt32(), reader.ReadString());
        var rows = new PackedRow[reader.ReadInt32()];
        for (var i = 0; i < rows.Length; i++) rows[i] = ReadRow(reader, rowLength);
        return new PackedConversations(rows, hash, conversations, tokens, cut, unusable, firstUnusable);
    }

    private static PackedRow ReadRow(BinaryReader reader, int length)
    {
        var row = new PackedRow(new int[length], new int[length], new int[length], new bool[length]);
        var lengths = new int[reader.ReadInt32()];
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(lengths.AsSpan()));
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(row.Tokens.AsSpan()));
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(row.LossMask.AsSpan()));
        var token = 0;
        for (var segment = 0; segment < lengths.Length; segment++)
            for (var position = 0; position < lengths[segment]; position++, token++)
            {
                row.Segments[token] = segment;
                row.Positions[token] = position;
            }
        return row;
    }
}
