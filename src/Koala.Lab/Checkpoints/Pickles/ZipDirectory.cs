using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Koala.Lab.Checkpoints.Pickles;

/// <summary>Where the entries of a zip archive stand in its file. torch.save stores them without compression.</summary>
/// <remarks>
/// .NET's own reader does not say where an entry's bytes stand, and weights are read straight from there, by several threads. The layout is
/// that of PKWARE's APPNOTE, with its 64-bit sizes.
/// </remarks>
internal sealed class ZipDirectory
{
    private const string Fix = PickleInput.Fix;
    private const int LongestComment = ushort.MaxValue;
    private const int EndLength = 22, LocatorLength = 20, End64Length = 56, EntryLength = 46, LocalLength = 30;
    private const long LongestDirectory = 64 << 20;

    private readonly SafeFileHandle _file;
    private readonly string _path;
    private readonly long _length;
    private readonly Dictionary<string, (long Local, long Length, int Method)> _entries = new(StringComparer.Ordinal);

    private ZipDirectory(SafeFileHandle file, string path, long length) => (_file, _path, _length) = (file, path, length);

    /// <summary>The names of the entries.</summary>
    internal IEnumerable<string> Names => _entries.Keys;

    /// <exception cref="KoalaException">The archive is damaged or too large to be one of tensors.</exception>
    internal static ZipDirectory Read(SafeFileHandle file, string path, long length)
    {
        var directory = new ZipDirectory(file, path, length);
        var (start, size, count) = directory.FindDirectory();
        if (start < 0 || size < 0 || size > LongestDirectory || start > length - size || count < 0 || count > size / EntryLength)
            throw directory.Fault(start, "the directory of the archive does not lie within the file");
        directory.ReadEntries(directory.Bytes(start, (int)size), start, count);
        return directory;
    }

    internal bool Has(string name) => _entries.ContainsKey(name);

    /// <summary>Finds the bytes of an entry.</summary>
    /// <returns>The offset of its first byte in the file, and their number.</returns>
    /// <exception cref="KoalaException">There is no such entry, or it is compressed or damaged.</exception>
    internal (long Start, long Length) Find(string name)
    {
        if (!_entries.TryGetValue(name, out var entry))
            throw new KoalaException(_path, $"lacks '{MessageText.Text(name)}', which its tensors refer to", Fix);
        if (entry.Method != 0)
            throw new KoalaException($"{_path}, '{MessageText.Text(name)}'", "is compressed, but torch.save stores tensors as they are",
                Fix);
        if (entry.Local < 0 || entry.Local > _length - LocalLength) throw Fault(entry.Local, "an entry does not lie within the file");
        var local = Bytes(entry.Local, LocalLength);
        if (!local.AsSpan().StartsWith("PK\x03\x04"u8)) throw Fault(entry.Local, "an entry does not begin as one");
        var start = entry.Local + LocalLength + UInt16(local, 26) + UInt16(local, 28);
        if (entry.Length < 0 || start > _length - entry.Length) throw Fault(entry.Local, "an entry does not lie within the file");
        return (start, entry.Length);
    }

    private (long Start, long Size, long Count) FindDirectory()
    {
        var tailLength = (int)Math.Min(_length, EndLength + LongestComment);
        var tail = Bytes(_length - tailLength, tailLength);
        var at = tail.AsSpan().LastIndexOf("PK\x05\x06"u8);
        if (at < 0 || at > tailLength - EndLength)
            throw Fault(_length, "the archive has no end: the file is cut short or damaged");
        var (start, size, count) = ((long)UInt32(tail, at + 16), (long)UInt32(tail, at + 12), (long)UInt16(tail, at + 10));
        if (start != uint.MaxValue && size != uint.MaxValue && count != ushort.MaxValue) return (start, size, count);
        var locator = at - LocatorLength;
        if (locator < 0 || !tail.AsSpan(locator).StartsWith("PK\x06\x07"u8)) return (start, size, count);
        var end64 = Int64(tail, locator + 8);
        if (end64 < 0 || end64 > _length - End64Length) throw Fault(_length, "the archive's end does not lie within the file");
        var end = Bytes(end64, End64Length);
        if (!end.AsSpan().StartsWith("PK\x06\x06"u8)) throw Fault(end64, "the archive has no end: the file is cut short or damaged");
        return (Int64(end, 48), Int64(end, 40), Int64(end, 32));
    }

    private void ReadEntries(byte[] bytes, long start, long count)
    {
        var at = 0;
        for (var i = 0L; i < count; i++)
        {
            if (at > bytes.Length - EntryLength || !bytes.AsSpan(at).StartsWith("PK\x01\x02"u8))
                throw Fault(start + at, "the directory of the archive is damaged");
            var (nameLength, extraLength) = (UInt16(bytes, at + 28), UInt16(bytes, at + 30));
            var next = at + EntryLength + nameLength + extraLength + UInt16(bytes, at + 32);
            if (next > bytes.Length) throw Fault(start + at, "the directory of the archive is damaged");
            var name = Encoding.UTF8.GetString(bytes, at + EntryLength, nameLength);
            var extra = bytes.AsSpan(at + EntryLength + nameLength, extraLength);
            var (length, packed, local) = Sizes(bytes, at, extra);
            var isEncrypted = (UInt16(bytes, at + 8) & 1) != 0;
            int method = UInt16(bytes, at + 10);
            if (!_entries.TryAdd(name, (local, length, isEncrypted || packed != length ? -1 : method)))
                throw Fault(start + at, $"the archive has '{MessageText.Text(name)}' twice");
            at = next;
        }
    }

    // Sizes beyond 32 bits stand in an extra field, in this order.
    private static (long Length, long Packed, long Local) Sizes(byte[] bytes, int at, ReadOnlySpan<byte> extra)
    {
        var sizes = (Length: (long)UInt32(bytes, at + 24), Packed: (long)UInt32(bytes, at + 20), Local: (long)UInt32(bytes, at + 42));
        while (extra.Length >= 4)
        {
            var size = BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]);
            if (size > extra.Length - 4) break;
            var field = extra.Slice(4, size);
            if (BinaryPrimitives.ReadUInt16LittleEndian(extra) == 1)
            {
                sizes.Length = Wide(sizes.Length, ref field);
                sizes.Packed = Wide(sizes.Packed, ref field);
                sizes.Local = Wide(sizes.Local, ref field);
            }
            extra = extra[(4 + size)..];
        }
        return sizes;

        static long Wide(long value, ref ReadOnlySpan<byte> field)
        {
            if (value != uint.MaxValue || field.Length < sizeof(long)) return value;
            var wide = BinaryPrimitives.ReadInt64LittleEndian(field);
            field = field[sizeof(long)..];
            return wide;
        }
    }

    private byte[] Bytes(long start, int count)
    {
        var bytes = new byte[count];
        FileBytes.Fill(_file, bytes, start, _path);
        return bytes;
    }

    private static ushort UInt16(byte[] bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at));

    private static uint UInt32(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));

    private static long Int64(byte[] bytes, int at) => BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(at));

    private KoalaException Fault(long position, string fault) => new($"{_path}, byte {position}", fault, Fix);
}
