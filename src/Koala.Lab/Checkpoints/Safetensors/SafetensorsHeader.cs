using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Unicode;

namespace Koala.Lab.Checkpoints.Safetensors;

/// <summary>The completely validated header of a safetensors file: the names and positions of its tensors, and its metadata.</summary>
/// <remarks>
/// The rules are those of the safetensors format: the header is a JSON object of at most 100,000,000 bytes, no key occurs twice, the
/// shape and the dtype match the length in bytes, and the ranges start at 0, leave no gap, do not overlap and end at the end of the
/// file. Koala adds two bounds: a tensor has at most 64 dimensions, and the listing takes no more memory than the file's length plus
/// 1 MiB, so that a small file cannot cause a large allocation.
/// </remarks>
internal sealed class SafetensorsHeader
{
    /// <summary>The number of bytes before the header, which are its length as a little-endian u64.</summary>
    internal const int Prefix = 8;

    /// <summary>The largest length of a header in the format.</summary>
    internal const int LongestHeader = 100_000_000;

    private const string Fix = "get the file again, or write it again with a current safetensors";
    private const int MostDimensions = 64;
    private const long Margin = 1 << 20;

    // The most bytes that a tensor's entry takes besides its name and shape: two objects, two table rows and their growth.
    private const long EntryCost = 400;

    private readonly string _path;
    private readonly long _dataStart;
    private readonly long _dataLength;
    private readonly Dictionary<string, TensorInfo> _tensors = [];
    private readonly Dictionary<string, long> _offsets = [];
    private readonly Dictionary<string, string> _metadata = [];
    private readonly List<(long Begin, long End, string Name)> _ranges = [];
    private long _memory;
    private bool _hasMetadata;

    private SafetensorsHeader(string path, int headerLength, long fileLength)
    {
        _path = path;
        _dataStart = Prefix + headerLength;
        _dataLength = fileLength - _dataStart;
        _memory = fileLength + Margin;
    }

    internal IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors;

    internal IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>Returns the offset of a tensor's first byte in the file.</summary>
    internal long Offset(string name) => _offsets[name];

    /// <param name="path">The file, for messages.</param>
    /// <param name="file">The first bytes of the file, up to the largest possible end of a header.</param>
    /// <param name="fileLength">The length of the whole file.</param>
    /// <exception cref="KoalaException">The header breaks a rule.</exception>
    internal static SafetensorsHeader Read(string path, ReadOnlySpan<byte> file, long fileLength)
    {
        if (fileLength < Prefix)
            throw new KoalaException($"{path}, byte 0",
                $"has {fileLength} bytes, but a safetensors file begins with an 8-byte header length", Fix);
        var declared = BinaryPrimitives.ReadUInt64LittleEndian(file);
        if (declared > LongestHeader)
            throw new KoalaException($"{path}, byte 0",
                $"the header is said to be {declared} bytes long, but at most {LongestHeader} are allowed", Fix);
        if ((long)declared > fileLength - Prefix)
            throw new KoalaException($"{path}, byte 0",
                $"the header is said to be {declared} bytes long, but the file has {fileLength - Prefix} bytes after its length", Fix);
        return Parse(path, file.Slice(Prefix, (int)declared), fileLength);
    }

    private static SafetensorsHeader Parse(string path, ReadOnlySpan<byte> json, long fileLength)
    {
        var header = new SafetensorsHeader(path, json.Length, fileLength);
        if (json.IsEmpty || json[0] != (byte)'{') throw header.Fault(0, "the header does not begin with '{'");
        if (!Utf8.IsValid(json)) throw header.Fault(0, "the header is not valid UTF-8");
        var reader = new Utf8JsonReader(json);
        try
        {
            header.ReadEntries(ref reader);
        }
        catch (JsonException e)
        {
            throw header.Fault(reader.BytesConsumed, "the header is not valid JSON", inner: e);
        }
        catch (InvalidOperationException e)
        {
            // The reader detects this only when a string is read or compared.
            throw header.Fault(reader.TokenStartIndex, "a string of the header contains half a surrogate pair", inner: e);
        }
        header.CheckRanges();
        return header;
    }

    private void ReadEntries(ref Utf8JsonReader reader)
    {
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("__metadata__"u8)) ReadMetadata(ref reader);
            else ReadTensor(ref reader);
        }
        // Reading past the closing brace throws if anything other than white space follows.
        reader.Read();
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        var start = reader.TokenStartIndex;
        reader.Read();
        if (_hasMetadata || reader.TokenType != JsonTokenType.StartObject)
            throw Fault(start, "__metadata__ must occur only once and be an object of strings");
        _hasMetadata = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            start = reader.TokenStartIndex;
            Spend(start, EntryCost + 2L * reader.ValueSpan.Length);
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw Fault(start, $"the metadata value of '{MessageText.Text(key)}' is not a string");
            Spend(start, 2L * reader.ValueSpan.Length);
            if (!_metadata.TryAdd(key, reader.GetString()!))
                throw Fault(start, $"the metadata key '{MessageText.Text(key)}' occurs twice");
        }
    }

    private void ReadTensor(ref Utf8JsonReader reader)
    {
        var start = reader.TokenStartIndex;
        Spend(start, EntryCost + 2L * reader.ValueSpan.Length);
        var name = reader.GetString()!;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject) throw Fault(start, "its entry is not an object", name);

        SafetensorsDtype? dtype = null;
        long[]? shape = null;
        long[]? range = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var keyStart = reader.TokenStartIndex;
            if (reader.ValueTextEquals("dtype"u8) && dtype is null) dtype = ReadDtype(ref reader, name);
            else if (reader.ValueTextEquals("shape"u8) && shape is null) shape = ReadSizes(ref reader, name, "shape");
            else if (reader.ValueTextEquals("data_offsets"u8) && range is null) range = ReadSizes(ref reader, name, "data_offsets");
            else throw Fault(keyStart,
                $"its entry has the key '{MessageText.Text(reader.ValueSpan)}' twice, or in addition to dtype, shape and data_offsets",
                name);
        }
        if (dtype is null || shape is null || range is null)
            throw Fault(start, $"its entry lacks {(dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets")}", name);

        CheckSize(start, name, dtype, shape, range);
        if (!_tensors.TryAdd(name, new TensorInfo(name, dtype.Dtype, shape, dtype.Name)))
            throw Fault(start, "occurs twice in the header", name);
        _offsets.Add(name, _dataStart + range[0]);
        _ranges.Add((range[0], range[1], name));
    }

    private SafetensorsDtype ReadDtype(ref Utf8JsonReader reader, string name)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String) throw Fault(reader.TokenStartIndex, "its dtype is not a string", name);
        return SafetensorsDtypes.Find(reader.ValueSpan)
            ?? throw Fault(reader.TokenStartIndex,
                $"is of dtype '{MessageText.Text(reader.ValueSpan)}', but Koala reads {SafetensorsDtypes.Known}", name,
                fix: "convert the tensor to one of these");
    }

    private long[] ReadSizes(ref Utf8JsonReader reader, string name, string key)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray) throw Fault(reader.TokenStartIndex, $"its {key} is not a list", name);
        Span<long> sizes = stackalloc long[MostDimensions];
        var count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (count == MostDimensions)
                throw Fault(reader.TokenStartIndex, $"its {key} has more than {MostDimensions} numbers", name);
            if (reader.TokenType != JsonTokenType.Number || reader.ValueSpan[0] == (byte)'-' || !reader.TryGetInt64(out var size))
                throw Fault(reader.TokenStartIndex,
                    $"its {key} contains '{MessageText.Text(reader.ValueSpan)}', but whole numbers from 0 are expected", name);
            sizes[count++] = size;
        }
        Spend(reader.TokenStartIndex, sizeof(long) * count);
        return sizes[..count].ToArray();
    }

    private void CheckSize(long start, string name, SafetensorsDtype dtype, long[] shape, long[] range)
    {
        if (range.Length != 2 || range[0] > range[1])
            throw Fault(start, $"its data_offsets are {MessageText.Shape(range)}, but a begin and an end not before it are expected",
                name);
        long bytes;
        Int128 bits = dtype.Bits;
        try
        {
            // A zero counts as one here, so that the other sizes of an empty tensor are also bounded.
            foreach (var size in shape) _ = checked((long)((bits *= Math.Max(size, 1)) / 8));
            if (shape.Contains(0)) bits = 0;
            bytes = (long)(bits / 8);
        }
        catch (OverflowException e)
        {
            throw Fault(start, $"its shape {MessageText.Shape(shape)} has more elements than a file can hold", name, inner: e);
        }
        if (bits % 8 != 0)
            throw Fault(start, $"its shape {MessageText.Shape(shape)} of {dtype.Name} takes {bits} bits, which are no whole bytes", name);
        if (bytes != range[1] - range[0])
            throw Fault(start, $"its shape {MessageText.Shape(shape)} of {dtype.Name} takes {bytes} bytes, "
                + $"but its data_offsets {MessageText.Shape(range)} span {range[1] - range[0]}", name);
    }

    private void CheckRanges()
    {
        _ranges.Sort();
        var previousEnd = 0L;
        foreach (var (begin, end, name) in _ranges)
        {
            if (begin < previousEnd)
                throw Fault(_dataStart + begin,
                    $"begins at data offset {begin}, but the tensor before it ends at {previousEnd}: they overlap", name, absolute: true);
            if (begin > previousEnd)
                throw Fault(_dataStart + previousEnd,
                    $"begins at data offset {begin}, but the data before it end at {previousEnd}: there is a gap", name, absolute: true);
            if (end > _dataLength)
                throw Fault(_dataStart + begin,
                    $"ends at data offset {end}, but the file contains {_dataLength} bytes of data", name, absolute: true);
            previousEnd = end;
        }
        if (previousEnd != _dataLength)
            throw Fault(_dataStart + previousEnd,
                $"{_dataLength - previousEnd} bytes at the end of the file belong to no tensor", absolute: true);
    }

    private void Spend(long start, long bytes)
    {
        _memory -= bytes;
        if (_memory < 0) throw Fault(start, "listing its tensors would take more memory than the whole file");
    }

    private KoalaException Fault(
        long position, string fault, string? tensor = null, string fix = Fix, bool absolute = false, Exception? inner = null)
    {
        var item = tensor is null ? "" : $", tensor '{MessageText.Text(tensor)}'";
        return new KoalaException($"{_path}{item}, byte {(absolute ? position : Prefix + position)}", fault, fix, inner);
    }
}
