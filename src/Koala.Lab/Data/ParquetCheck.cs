using System.Buffers.Binary;

namespace Koala.Lab.Data;

/// <summary>
/// Compares what a Parquet file claims with its length, before a library believes it and reserves gigabytes for a few hundred bytes.
/// </summary>
/// <remarks>
/// It reads the footer and the header of every page, and decodes no page. What may be claimed: a page that uncompresses to what its codec
/// can reach at most, a row for each byte of the file and 65,536 beside, and eight values for each byte and 262,144 beside.
/// </remarks>
internal sealed class ParquetCheck
{
    private const int Magic = 4;
    private const int Ending = 8;             // the footer's length and the magic bytes again
    private const int MoreRows = 1 << 16;
    private const int MoreValues = 1 << 18;
    private const int ValuesPerByte = 8;
    private const int LargestPage = 1 << 28;
    private const int DeepestSchema = 64;
    private const int LongestBegin = 18;      // the header of a frame of zstd
    private const int FirstWindow = 256;      // a page's header mostly has some tens of bytes

    // The kinds of pages, by their numbers in files. The second kind of data page keeps its levels uncompressed.
    private const int DataPage = 0;
    private const int DictionaryPage = 2;
    private const int SecondDataPage = 3;

    // The codecs by their numbers in files.
    private const int Snappy = 1;
    private const int Gzip = 2;
    private const int Lz4 = 5;
    private const int Zstd = 6;
    private const int Lz4Raw = 7;

    private readonly Stream _file;
    private readonly long _end;               // where the footer begins
    private long _values;

    private ParquetCheck(Stream file)
    {
        _file = file;
        if (file.Length < Magic + Ending) throw new InvalidDataException("it is too short");
        var ending = ReadAt(file.Length - Ending, Ending);
        var length = BinaryPrimitives.ReadInt32LittleEndian(ending);
        if (!ending.AsSpan(4).SequenceEqual("PAR1"u8)) throw new InvalidDataException("it does not end as Parquet does");
        if (length < 0 || length > file.Length - Magic - Ending) throw new InvalidDataException("its footer is longer than the file");
        _end = file.Length - Ending - length;
    }

    /// <summary>Checks a whole file.</summary>
    /// <exception cref="InvalidDataException">The file claims what it cannot hold, or is damaged.</exception>
    /// <exception cref="EndOfStreamException">Something in it is longer than the file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static void Check(Stream file)
    {
        var check = new ParquetCheck(file);
        var footer = new ThriftReader(check.ReadAt(check._end, (int)(file.Length - Ending - check._end))).Struct("FileMetaData");
        CheckSchema(footer.Structs(2));
        var rows = 0L;
        foreach (var group in footer.Structs(4))
        {
            var more = group.Number(3) ?? 0;
            if (more < 0 || more > file.Length + MoreRows - rows) throw new InvalidDataException($"it claims {more} rows");
            rows += more;
            foreach (var column in group.Structs(1)) check.CheckColumn(column);
        }
        file.Position = 0;
    }

    // A schema is a list of nodes in depth-first order, each with its number of children.
    private static void CheckSchema(IReadOnlyList<ThriftStruct> nodes)
    {
        var open = new Stack<long>();
        foreach (var node in nodes)
        {
            var children = node.Number(5) ?? 0;
            if (children < 0 || children > nodes.Count) throw new InvalidDataException($"a column claims {children} parts");
            if (open.TryPop(out var left) && left > 1) open.Push(left - 1);
            if (children > 0) open.Push(children);
            if (open.Count > DeepestSchema) throw new InvalidDataException("its columns are nested too deeply");
        }
    }

    private void CheckColumn(ThriftStruct column)
    {
        if (column.Structs(3) is not [.., var data]) throw new InvalidDataException("a column lacks its metadata");
        var count = data.Number(5) ?? 0;
        if (count < 0 || count > int.MaxValue || count > ValuesPerByte * _file.Length + MoreValues - _values)
            throw new InvalidDataException($"a column claims {count} values");
        _values += count;
        long[] starts = [.. ((int[])[9, 10, 11]).Select(id => data.Number(id) ?? 0).Where(start => start != 0)];
        if (starts.Length == 0) throw new InvalidDataException("a column has no pages");
        var (at, left) = (starts.Min(), count);
        while (left > 0)
        {
            if (at < Magic || at >= _end) throw new InvalidDataException($"a page is said to begin at byte {at}");
            var (header, length) = ReadHeader(at);
            left -= CheckPage(header, at + length, left, (int)(data.Number(4) ?? 0));
            at += length + header.Number(3)!.Value;
        }
    }

    // Returns the number of values.
    private long CheckPage(ThriftStruct header, long at, long left, int codec)
    {
        var (uncompressed, compressed) = (header.Number(2) ?? -1, header.Number(3) ?? -1);
        if (compressed < 0 || compressed > _end - at) throw new InvalidDataException($"a page claims {compressed} bytes in the file");
        void Refuse(long bytes) => throw new InvalidDataException($"a page of {compressed} bytes claims {bytes} bytes when it is decoded");
        if (uncompressed < 0 || uncompressed > Math.Min(LargestPage, MostBytes(codec, compressed))) Refuse(uncompressed);
        var kind = header.Number(1);
        if (kind == DictionaryPage && header.Structs(7) is [.., var dictionary])
        {
            CheckBody(0);
            // Every entry of a dictionary takes a byte.
            if (dictionary.Number(1) is not { } entries || entries < 0 || entries > uncompressed)
                throw new InvalidDataException("a dictionary claims more entries than it has bytes");
            return 0;
        }
        ThriftStruct page;
        if (kind == DataPage && header.Structs(5) is [.., var first])
        {
            page = first;
            CheckBody(0);
        }
        else if (kind == SecondDataPage && header.Structs(8) is [.., var second])
        {
            page = second;
            var (definitions, repetitions, nulls) = (page.Number(5) ?? 0, page.Number(6) ?? 0, page.Number(2) ?? 0);
            if (definitions < 0 || repetitions < 0 || definitions + repetitions > compressed)
                throw new InvalidDataException("a page claims more levels than it has");
            if (nulls < 0 || nulls > page.Number(1)) throw new InvalidDataException("a page claims more nulls than values");
            if (page.Number(7) != 0) CheckBody(definitions + repetitions);
        }
        else throw new InvalidDataException($"it has a page of kind {kind}");
        var values = page.Number(1) ?? 0;
        if (values < 0 || values > left) throw new InvalidDataException($"a page claims {values} values");
        return values;

        // Two codecs say themselves how much they hold, and the library believes them.
        void CheckBody(long skipped)
        {
            var begin = ReadAt(at + skipped, (int)Math.Min(compressed - skipped, LongestBegin));
            var held = codec == Snappy ? SnappyLength(begin) : codec == Zstd ? ZstdLength(begin) : 0;
            if (held > Math.Min(LargestPage, MostBytes(codec, compressed))) Refuse(held);
        }
    }

    // The most that a codec makes of some bytes, with room for the smallest page. Of zstd that is a block of 128 KiB in four bytes.
    private static long MostBytes(int codec, long compressed) => codec switch
    {
        0 => compressed,
        Snappy => 64 + 22 * compressed,
        Lz4 or Lz4Raw => 64 + 255 * compressed,
        Gzip => 64 + 1032 * compressed,
        _ => (1 << 16) + (1 << 15) * compressed,
    };

    private static long SnappyLength(ReadOnlySpan<byte> bytes)
    {
        var length = 0L;
        for (var i = 0; i < Math.Min(bytes.Length, 5); i++)
        {
            length |= (long)(bytes[i] & 0x7F) << (7 * i);
            if (bytes[i] < 0x80) return length;
        }
        throw new InvalidDataException("a page does not begin as snappy does");
    }

    // The content size in the header of a frame; 0 where it has none.
    private static long ZstdLength(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 5) return 0;
        var descriptor = bytes[4];
        var isSingle = (descriptor & 32) != 0;
        int[] dictionaryBytes = [0, 1, 2, 4];
        var at = 5 + (isSingle ? 0 : 1) + dictionaryBytes[descriptor & 3];
        var size = (descriptor >> 6) switch { 0 => isSingle ? 1 : 0, 1 => 2, 2 => 4, _ => 8 };
        if (at + size > bytes.Length) return 0;
        return size switch
        {
            0 => 0,
            1 => bytes[at],
            2 => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]) + 256,
            4 => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]),
            _ => (long)Math.Min(long.MaxValue, BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..])),
        };
    }

    private (ThriftStruct Header, int Length) ReadHeader(long at)
    {
        for (var window = FirstWindow; ; window *= 8)
        {
            var bytes = ReadAt(at, (int)Math.Min(window, _end - at));
            var reader = new ThriftReader(bytes);
            try
            {
                return (reader.Struct("PageHeader"), reader.Position);
            }
            catch (EndOfStreamException) when (bytes.Length == window && window < LargestPage)
            {
                // A header can hold long statistics: more of it is read.
            }
        }
    }

    private byte[] ReadAt(long at, int count)
    {
        var bytes = new byte[count];
        _file.Position = at;
        _file.ReadExactly(bytes);
        return bytes;
    }
}
