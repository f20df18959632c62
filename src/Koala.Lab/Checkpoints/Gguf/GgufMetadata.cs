using System.Globalization;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>Typed, checked metadata values of a GGUF file. Only one thread may use it at a time.</summary>
/// <param name="values">The values that the header lists.</param>
/// <param name="reader">The reader, which gets strings and lists from the file when they are needed.</param>
/// <param name="path">The file, for messages.</param>
internal sealed class GgufMetadata(IReadOnlyDictionary<string, GgufValue> values, GgufReader reader, string path)
{
    private const string Correct = "get the file again, or convert the model again";

    /// <summary>The file.</summary>
    internal string Path => path;

    internal bool Has(string key) => values.ContainsKey(key);

    internal int Size(string key, int largest = ModelConfig.LargestSize) => OptionalSize(key, largest) ?? throw Missing(key);

    internal int? OptionalSize(string key, int largest = ModelConfig.LargestSize)
    {
        if (Find(key) is not { } value) return null;
        return WholeNumber(value) is { } size and >= 1 && size <= largest
            ? (int)size
            : throw Wrong(key, value, $"a whole number from 1 to {largest}");
    }

    internal double Positive(string key) => OptionalPositive(key) ?? throw Missing(key);

    internal double? OptionalPositive(string key)
    {
        if (Find(key) is not { } value) return null;
        return Number(value) is { } number and > 0 && double.IsFinite(number)
            ? number
            : throw Wrong(key, value, "a finite number above 0");
    }

    internal bool Boolean(string key, bool defaultValue) => Find(key) switch
    {
        null => defaultValue,
        { Type: GgufValueType.Bool } value => value.Bits == 1,
        { } value => throw Wrong(key, value, "true or false"),
    };

    internal string Text(string key) => OptionalText(key) ?? throw Missing(key);

    internal string? OptionalText(string key) => Find(key) switch
    {
        null => null,
        { Type: GgufValueType.Text } value => ReaderAt(key, value).Text(),
        { } value => throw Wrong(key, value, "a string"),
    };

    /// <summary>Returns a token id below <paramref name="vocabulary"/>; null if there is none.</summary>
    internal int? OptionalId(string key, int vocabulary)
    {
        if (Find(key) is not { } value) return null;
        return WholeNumber(value) is { } id and >= 0 && id < vocabulary
            ? (int)id
            : throw Wrong(key, value, $"a token id below the vocabulary size {vocabulary}");
    }

    /// <summary>Returns the length of a list of strings; null if there is none.</summary>
    internal long? OptionalCount(string key) => Find(key) switch
    {
        null => null,
        { Type: GgufValueType.List, Element: GgufValueType.Text } value => value.Count,
        { } value => throw Wrong(key, value, "a list of strings"),
    };

    /// <summary>Returns a list of strings.</summary>
    internal string[] Texts(string key)
    {
        var texts = new string[OptionalCount(key) ?? throw Missing(key)];
        var list = ReaderAt(key, values[key]);
        for (var i = 0; i < texts.Length; i++) texts[i] = list.Text();
        return texts;
    }

    /// <summary>Returns a list of 32-bit whole numbers.</summary>
    internal int[] Numbers(string key)
    {
        var value = Find(key) ?? throw Missing(key);
        if (value is not { Type: GgufValueType.List, Element: GgufValueType.I32 or GgufValueType.U32 })
            throw Wrong(key, value, "a list of whole numbers of 32 bits");
        var numbers = new int[value.Count];
        var list = ReaderAt(key, value);
        for (var i = 0; i < numbers.Length; i++) numbers[i] = (int)list.U32();
        return numbers;
    }

    /// <summary>Returns a list of fp32 numbers.</summary>
    internal float[] Singles(string key)
    {
        var value = Find(key) ?? throw Missing(key);
        if (value is not { Type: GgufValueType.List, Element: GgufValueType.F32 }) throw Wrong(key, value, "a list of fp32 numbers");
        var numbers = new float[value.Count];
        var list = ReaderAt(key, value);
        for (var i = 0; i < numbers.Length; i++) numbers[i] = BitConverter.UInt32BitsToSingle(list.U32());
        return numbers;
    }

    internal KoalaException Fault(string key, string fault, string fix) => new($"{path}: {key}", fault, fix);

    private GgufValue? Find(string key) => values.TryGetValue(key, out var value) ? value : null;

    private GgufReader ReaderAt(string key, GgufValue value)
    {
        (reader.Position, reader.Item) = (value.Position, ("key", key));
        return reader;
    }

    private KoalaException Missing(string key) => Fault(key, "is missing", Correct);

    private KoalaException Wrong(string key, GgufValue value, string expected) =>
        Fault(key, $"is {Describe(key, value)}, but {expected} is expected", Correct);

    private string Describe(string key, GgufValue value) => value.Type switch
    {
        GgufValueType.Text => $"'{MessageText.Text(ReaderAt(key, value).Text())}'",
        GgufValueType.List => $"a list of {value.Count} values of type {value.Element}",
        GgufValueType.Bool => value.Bits == 1 ? "true" : "false",
        _ => Number(value)!.Value.ToString(CultureInfo.InvariantCulture),
    };

    // Returns null for a value that is not a whole number, and for unsigned numbers far above any size or id.
    private static long? WholeNumber(GgufValue value) => value.Type switch
    {
        GgufValueType.U8 or GgufValueType.U16 or GgufValueType.U32 => (long)value.Bits,
        GgufValueType.U64 => value.Bits <= long.MaxValue ? (long)value.Bits : null,
        GgufValueType.I8 => (sbyte)value.Bits,
        GgufValueType.I16 => (short)value.Bits,
        GgufValueType.I32 => (int)value.Bits,
        GgufValueType.I64 => (long)value.Bits,
        _ => null,
    };

    private static double? Number(GgufValue value) => value.Type switch
    {
        GgufValueType.F32 => ShortestDecimal(BitConverter.UInt32BitsToSingle((uint)value.Bits)),
        GgufValueType.F64 => BitConverter.UInt64BitsToDouble(value.Bits),
        GgufValueType.U64 => value.Bits,
        _ => WholeNumber(value),
    };

    // If a converter gets 1e-05, it writes the nearest fp32; the shortest decimal of that is the intended number.
    private static double ShortestDecimal(float number) =>
        double.Parse(number.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
