using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;
using Microsoft.Win32.SafeHandles;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>
/// Reads numbers and strings of a GGUF header one after the other. It reads nothing beyond the end of the file, and checks the length
/// of each string before reading it.
/// </summary>
/// <param name="file">The open file. The caller owns it.</param>
/// <param name="path">Its path, for messages.</param>
/// <param name="length">Its length.</param>
internal sealed class GgufReader(SafeFileHandle file, string path, long length)
{
    /// <summary>The length of the longest string that is read; chat templates and tokens are far shorter.</summary>
    internal const int LongestText = 1 << 20;

    private const string Fix = "get the file again";

    private readonly byte[] _buffer = new byte[1 << 14];
    private long _start;   // the offset of the buffer in the file
    private int _count;    // the number of bytes in the buffer

    /// <summary>The offset at which the next value begins.</summary>
    internal long Position { get; set; }

    /// <summary>The number of bytes from <see cref="Position"/> to the end of the file.</summary>
    internal long Remaining => length - Position;

    /// <summary>What is being read, for messages: a key or a tensor, with its name; null if it is neither.</summary>
    internal (string Kind, string Name)? Item { get; set; }

    internal byte U8() => Take(1)[0];

    internal ushort U16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    internal uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    internal ulong U64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    /// <summary>Reads the next string.</summary>
    internal string Text(int longest = LongestText)
    {
        var start = Position;
        var count = TextLength();
        if (count > longest) throw Fault(start, $"a string is said to be {count} bytes long, but at most {longest} are expected");
        Span<byte> bytes = count <= 512 ? stackalloc byte[(int)count] : new byte[count];
        Read(bytes);
        return Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw Fault(start, "a string is not valid UTF-8");
    }

    /// <summary>Skips the next string.</summary>
    internal void SkipText()
    {
        // This must come before the sum, because reading the length changes the position.
        var count = TextLength();
        Position += count;
    }

    /// <summary>Creates the exception for a fault at a byte of the file.</summary>
    internal KoalaException Fault(long position, string fault, string fix = Fix, Exception? inner = null) =>
        new($"{Where}, byte {position}", fault, fix, inner);

    private string Where => Item is { } item ? $"{path}, {item.Kind} '{MessageText.Text(item.Name)}'" : path;

    private long TextLength()
    {
        var start = Position;
        var count = U64();
        return count <= (ulong)Remaining
            ? (long)count
            : throw Fault(start, $"a string is said to be {count} bytes long, but the file has {Remaining} bytes after its length");
    }

    private void Read(Span<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var part = Take(Math.Min(bytes.Length, _buffer.Length));
            part.CopyTo(bytes);
            bytes = bytes[part.Length..];
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > Remaining) throw Fault(Position, $"{count} bytes are expected, but the file has {Math.Max(Remaining, 0)} more");
        if (Position < _start || Position + count > _start + _count)
        {
            (_start, _count) = (Position, (int)Math.Min(_buffer.Length, Remaining));
            FileBytes.Fill(file, _buffer.AsSpan(0, _count), _start, path);
        }
        var bytes = _buffer.AsSpan((int)(Position - _start), count);
        Position += count;
        return bytes;
    }
}
