namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>The completely validated header of a GGUF file: its metadata, and the names and positions of its tensors.</summary>
/// <remarks>
/// It reads versions 2 and 3, little-endian. The rules are those of ggml: no key and no tensor occurs twice, there are no lists of
/// lists, tensors have at most 4 dimensions and rows of whole blocks, offsets are multiples of the alignment, data are within the
/// file, and no two tensors share bytes. Koala adds one bound: the listing takes no more memory than the file's length plus 1 MiB, so
/// that a small file cannot cause a large allocation. Lists and strings stay in the file until they are read.
/// </remarks>
internal sealed class GgufHeader
{
    /// <summary>"GGUF", the first four bytes.</summary>
    internal const uint Magic = 0x46554747;

    private const uint DefaultAlignment = 32;
    private const uint LargestAlignment = 1 << 16;
    private const int LongestKey = (1 << 16) - 1;
    private const int LongestName = 64;
    private const int MostDimensions = 4;
    private const string Alignment = "general.alignment";

    // The fewest bytes that an entry takes in the file, and the most bytes that it takes in memory besides its name.
    private const int LeastKeyBytes = 14, LeastTensorBytes = 33;
    private const long KeyCost = 350, TensorCost = 800;
    private const long Margin = 1 << 20;

    private readonly GgufReader _reader;
    private readonly Dictionary<string, GgufValue> _values = [];
    private readonly Dictionary<string, GgufTensor> _tensors = [];
    private long _memory;

    private GgufHeader(GgufReader reader)
    {
        _reader = reader;
        _memory = reader.Remaining + Margin;
    }

    internal IReadOnlyDictionary<string, GgufValue> Values => _values;

    /// <summary>The tensors by their names in the file.</summary>
    internal IReadOnlyDictionary<string, GgufTensor> Tensors => _tensors;

    /// <param name="reader">The reader, whose position is the first byte of the file.</param>
    /// <exception cref="KoalaException">The header breaks a rule.</exception>
    internal static GgufHeader Read(GgufReader reader)
    {
        var header = new GgufHeader(reader);
        header.ReadAll();
        return header;
    }

    private void ReadAll()
    {
        if (_reader.U32() != Magic)
            throw _reader.Fault(0, "does not begin with 'GGUF'", "name a GGUF file, or a model's folder in Hugging Face's layout");
        CheckVersion(_reader.U32());
        var tensors = Count("tensors", LeastTensorBytes);
        var keys = Count("metadata keys", LeastKeyBytes);
        for (var i = 0L; i < keys; i++) ReadKey();
        _reader.Item = null;
        var alignment = ReadAlignment();
        for (var i = 0L; i < tensors; i++) ReadTensor(alignment);
        _reader.Item = null;
        PlaceTensors(alignment);
    }

    private void CheckVersion(uint version)
    {
        if (version is 2 or 3) return;
        if (version is 0x02000000 or 0x03000000)
            throw _reader.Fault(4, "is a big-endian file, but Koala reads little-endian ones", "get the little-endian file");
        throw _reader.Fault(4, $"has version {version}, but Koala reads 2 and 3", "convert the model again with a current converter");
    }

    private long Count(string what, int leastBytes)
    {
        var start = _reader.Position;
        var count = _reader.U64();
        return count <= (ulong)(_reader.Remaining / leastBytes)
            ? (long)count
            : throw _reader.Fault(start, $"the file is said to contain {count} {what}, but it has {_reader.Remaining} bytes after that");
    }

    private void ReadKey()
    {
        _reader.Item = null;
        var start = _reader.Position;
        var key = _reader.Text(LongestKey);
        _reader.Item = ("key", key);
        Spend(start, 2 * key.Length + KeyCost);
        if (!_values.TryAdd(key, ReadValue(ReadType()))) throw _reader.Fault(start, "occurs twice");
    }

    private GgufValueType ReadType()
    {
        var start = _reader.Position;
        var type = (GgufValueType)_reader.U32();
        return Enum.IsDefined(type) ? type : throw _reader.Fault(start, $"its type is {(uint)type}, but types are 0 to 12");
    }

    private GgufValue ReadValue(GgufValueType type)
    {
        var start = _reader.Position;
        switch (type)
        {
            case GgufValueType.Text:
                _reader.SkipText();
                return new GgufValue(type, 0, default, 0, start);
            case GgufValueType.List:
                return SkipList();
            default:
                var bits = Size(type) switch { 1 => _reader.U8(), 2 => _reader.U16(), 4 => _reader.U32(), _ => _reader.U64() };
                if (type == GgufValueType.Bool && bits > 1) throw _reader.Fault(start, $"is {bits}, but 0 or 1 is expected");
                return new GgufValue(type, bits, default, 0, start);
        }
    }

    private GgufValue SkipList()
    {
        var element = ReadType();
        var start = _reader.Position;
        if (element == GgufValueType.List) throw _reader.Fault(start, "is a list of lists, which Koala does not read");
        var count = Count("elements in this list", Size(element));
        var first = _reader.Position;
        if (element == GgufValueType.Text)
            for (var i = 0L; i < count; i++) _reader.SkipText();
        else _reader.Position += count * Size(element);
        return new GgufValue(GgufValueType.List, 0, element, count, first);
    }

    private uint ReadAlignment()
    {
        if (!_values.TryGetValue(Alignment, out var value)) return DefaultAlignment;
        return value is { Type: GgufValueType.U32, Bits: >= 1 and <= LargestAlignment } && ulong.IsPow2(value.Bits)
            ? (uint)value.Bits
            : throw _reader.Fault(value.Position, $"{Alignment} is {value.Bits} of type {value.Type}, "
                + $"but a power of two up to {LargestAlignment}, of type U32, is expected");
    }

    private void ReadTensor(uint alignment)
    {
        _reader.Item = null;
        var start = _reader.Position;
        var name = _reader.Text(LongestName);
        _reader.Item = ("tensor", name);
        Spend(start, TensorCost);
        var shape = ReadShape();
        var typeStart = _reader.Position;
        var id = _reader.U32();
        var type = GgufType.Find(id) ?? throw _reader.Fault(
            typeStart, $"its number type is {id}, but Koala reads {GgufType.Known}", "use a file with these number types");
        if (shape[^1] % type.Elements != 0)
            throw _reader.Fault(start, $"its rows have {shape[^1]} numbers, but {type.Name} stores blocks of {type.Elements}");
        var offsetStart = _reader.Position;
        var offset = _reader.U64();
        if (offset % alignment != 0)
            throw _reader.Fault(offsetStart, $"its offset is {offset}, but a multiple of the alignment {alignment} is expected");
        if (offset > long.MaxValue / 2)
            throw _reader.Fault(offsetStart, $"its offset is {offset}, which is beyond the end of the file");
        var tensor = new GgufTensor(name, type, shape, (long)offset, Bytes(start, shape, type));
        if (!_tensors.TryAdd(name, tensor)) throw _reader.Fault(start, "occurs twice");
    }

    private long[] ReadShape()
    {
        var start = _reader.Position;
        var dimensions = _reader.U32();
        if (dimensions is < 1 or > MostDimensions)
            throw _reader.Fault(start, $"it has {dimensions} dimensions, but 1 to {MostDimensions} are expected");
        var shape = new long[dimensions];
        for (var i = shape.Length - 1; i >= 0; i--)
        {
            start = _reader.Position;
            var size = _reader.U64();
            shape[i] = size is >= 1 and <= long.MaxValue
                ? (long)size
                : throw _reader.Fault(start, $"a dimension is {size}, but 1 or more is expected");
        }
        return shape;
    }

    private long Bytes(long start, long[] shape, GgufType type)
    {
        try
        {
            return checked(shape.Aggregate(1L, (count, size) => checked(count * size)) / type.Elements * type.Bytes);
        }
        catch (OverflowException e)
        {
            throw _reader.Fault(start, $"its shape {MessageText.Shape(shape)} has more elements than a file can hold", inner: e);
        }
    }

    private void PlaceTensors(uint alignment)
    {
        var start = (_reader.Position + alignment - 1) / alignment * alignment;
        var length = _reader.Position + _reader.Remaining - start;
        var (end, previous) = (0L, "");
        foreach (var tensor in _tensors.Values.OrderBy(t => t.Offset).ToList())
        {
            _reader.Item = ("tensor", tensor.Name);
            if (tensor.Offset < end)
                throw _reader.Fault(start + tensor.Offset, $"begins at data offset {tensor.Offset}, "
                    + $"but tensor '{MessageText.Text(previous)}' ends at {end}: they overlap");
            if (tensor.Bytes > length - tensor.Offset)
                throw _reader.Fault(start + tensor.Offset, $"takes {tensor.Bytes} bytes from data offset {tensor.Offset} on, "
                    + $"but the file contains {Math.Max(length, 0)} bytes of data");
            (end, previous) = (tensor.Offset + tensor.Bytes, tensor.Name);
            _tensors[tensor.Name] = tensor with { Offset = start + tensor.Offset };
        }
        _reader.Item = null;
    }

    private void Spend(long start, long bytes)
    {
        _memory -= bytes;
        if (_memory < 0) throw _reader.Fault(start, "listing its contents would take more memory than the whole file");
    }

    /// <summary>Returns the bytes of a number, or the fewest bytes that a string takes.</summary>
    internal static int Size(GgufValueType type) => type switch
    {
        GgufValueType.U8 or GgufValueType.I8 or GgufValueType.Bool => 1,
        GgufValueType.U16 or GgufValueType.I16 => 2,
        GgufValueType.U32 or GgufValueType.I32 or GgufValueType.F32 => 4,
        _ => 8,
    };
}
