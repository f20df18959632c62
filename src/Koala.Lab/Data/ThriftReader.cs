namespace Koala.Lab.Data;

/// <summary>Reads the structs of a Parquet file's footer and page headers, which are in Thrift's compact protocol.</summary>
/// <remarks>
/// It accepts what <see cref="ParquetStructs"/> lists, with the types listed there, and plain fields beside them. The library that decodes
/// the rows reads on with the types that it expects, whatever a file says, so nothing else may reach it.
/// </remarks>
/// <param name="bytes">The struct, and what follows it.</param>
internal ref struct ThriftReader(ReadOnlySpan<byte> bytes)
{
    private const int DeepestList = 8;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    /// <summary>The number of bytes that were read.</summary>
    public int Position { get; private set; }

    /// <summary>Reads a struct.</summary>
    /// <param name="name">Its name in <see cref="ParquetStructs"/>.</param>
    /// <exception cref="EndOfStreamException">The bytes end before the struct does.</exception>
    /// <exception cref="InvalidDataException">It is not what <see cref="ParquetStructs"/> lists.</exception>
    public ThriftStruct Struct(string name)
    {
        var fields = ParquetStructs.Fields(name);
        var result = new ThriftStruct();
        var id = 0;
        while (Byte() is var header and not 0)
        {
            var (step, type) = (header >> 4, (ThriftType)(header & 15));
            id = step == 0 ? (int)SignedNumber() : id + step;
            if (!fields.TryGetValue(id, out var field))
            {
                if (type is ThriftType.Struct or ThriftType.Map) throw new InvalidDataException($"{name} has an unknown field {id}");
                Skip(type, 0);
                continue;
            }
            if (field.Type != Kind(type)) throw new InvalidDataException($"field {id} of {name} is of another type than its name says");
            Read(field, type, id, result);
        }
        return result;
    }

    private void Read(ThriftField field, ThriftType type, int id, ThriftStruct result)
    {
        switch (field.Type)
        {
            case ThriftType.Int64:
                result.Set(id, SignedNumber());
                break;
            case ThriftType.True:
                result.Set(id, type == ThriftType.True ? 1 : 0);
                break;
            case ThriftType.Struct:
                result.Add(id, Struct(field.Struct!));
                break;
            case ThriftType.List:
                var (count, element) = ListHeader();
                var expected = field.Struct is null ? field.Element : ThriftType.Struct;
                if (count > 0 && Kind(element) != expected)
                    throw new InvalidDataException("a list is of another type than its name says");
                for (var i = 0; i < count; i++)
                    if (field.Struct is { } each) result.Add(id, Struct(each));
                    else Skip(element, 0);
                break;
            default:
                Skip(type, 0);
                break;
        }
    }

    private void Skip(ThriftType type, int depth)
    {
        switch (type)
        {
            case ThriftType.True or ThriftType.False:
                break;
            case ThriftType.Byte:
                Take(1);
                break;
            case ThriftType.Int16 or ThriftType.Int32 or ThriftType.Int64:
                SignedNumber();
                break;
            case ThriftType.Double:
                Take(sizeof(double));
                break;
            case ThriftType.Binary:
                Take(Number());
                break;
            case ThriftType.List when depth < DeepestList:
                var (count, element) = ListHeader();
                for (var i = 0; i < count; i++) Skip(element, depth + 1);
                break;
            default:
                throw new InvalidDataException($"it has a field of the type {(int)type}");
        }
    }

    // Every element takes a byte at least, except that nothing in Parquet lists truth values.
    private (int Count, ThriftType Element) ListHeader()
    {
        var header = Byte();
        var count = header >> 4 == 15 ? Number() : (ulong)header >> 4;
        if (count > (ulong)(_bytes.Length - Position)) throw new EndOfStreamException("a list is longer than the file");
        return ((int)count, (ThriftType)(header & 15));
    }

    private long SignedNumber()
    {
        var number = Number();
        return (long)(number >> 1) ^ -(long)(number & 1);
    }

    private ulong Number()
    {
        var number = 0ul;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = Byte();
            number |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return number;
        }
        throw new InvalidDataException("a number has more than 64 bits");
    }

    private byte Byte()
    {
        Take(1);
        return _bytes[Position - 1];
    }

    private void Take(ulong count)
    {
        if (count > (ulong)(_bytes.Length - Position)) throw new EndOfStreamException("a field is longer than the file");
        Position += (int)count;
    }

    // Numbers of 16, 32 and 64 bits are written alike, and a truth value is its type.
    private static ThriftType Kind(ThriftType type) => type switch
    {
        ThriftType.False => ThriftType.True,
        ThriftType.Int16 or ThriftType.Int32 => ThriftType.Int64,
        _ => type,
    };
}

/// <summary>The types of Thrift's compact protocol, with their numbers in files.</summary>
internal enum ThriftType
{
    True = 1,
    False = 2,
    Byte = 3,
    Int16 = 4,
    Int32 = 5,
    Int64 = 6,
    Double = 7,
    Binary = 8,
    List = 9,
    Map = 11,
    Struct = 12,
}

/// <summary>A field of a struct: its type, the struct that it holds or lists, and what it lists otherwise.</summary>
internal sealed record ThriftField(ThriftType Type, string? Struct = null, ThriftType Element = default);

/// <summary>What was read of a struct: its numbers, and its structs.</summary>
internal sealed class ThriftStruct
{
    private readonly Dictionary<int, long> _numbers = [];
    private readonly Dictionary<int, List<ThriftStruct>> _structs = [];

    /// <summary>A number; null if there is none.</summary>
    public long? Number(int id) => _numbers.TryGetValue(id, out var number) ? number : null;

    /// <summary>The structs of a field: those of a list, or a single one; empty if there is none.</summary>
    public IReadOnlyList<ThriftStruct> Structs(int id) => _structs.TryGetValue(id, out var structs) ? structs : [];

    public void Set(int id, long number) => _numbers[id] = number;

    public void Add(int id, ThriftStruct value)
    {
        if (!_structs.TryGetValue(id, out var structs)) _structs[id] = structs = [];
        structs.Add(value);
    }
}
