using System.Globalization;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>Typed metadata values of a GGUF file, each checked. For one thread.</summary>
/// <param name="values">What the header lists.</param>
/// <param name="reader">Reads strings and lists from the file when they are asked for.</param>
/// <param name="path">The file, for messages.</param>
internal sealed class GgufMetadata(IReadOnlyDictionary<string, GgufValue> values, GgufReader reader, string path)
{
    private const string Correct = "get the file again, or convert the model anew";

    /// <summary>The file.</summary>
    internal string Path => path;

    internal bool Has(string key) => values.ContainsKey(key);

    internal int Size(string key, int largest = ModelConfig.LargestSize) => OptionalSize(key, largest) ?? throw Missing(key);

    internal int? OptionalSize(string key, int largest = ModelConfig.LargestSize) => Find(key) is not { } value ? null
        : Whole(value) is { } size and >= 1 && size <= largest ? (int)size : throw Wrong(key, value, $"a whole number from 1 to {largest}");

    internal double Positive(string key) => OptionalPositive(key) ?? throw Missing(key);

    internal double? OptionalPositive(string key) => Find(key) is not { } value ? null
        : Number(value) is { } number and > 0 && double.IsFinite(number) ? number : throw Wrong(key, value, "a finite number above 0");

    internal bool Switch(string key, bool otherwise) => Find(key) switch
    {
        null => otherwise,
        { Type: GgufValueType.Bool } value => value.Bits == 1,
        { } value => throw Wrong(key, value, "true or false"),
    };

    internal string Text(string key) => OptionalText(key) ?? throw Missing(key);

    internal string? OptionalText(string key) => Find(key) switch
    {
        null => null,
        { Type: GgufValueType.Text } value => At(key, value).Text(),
        { } value => throw Wrong(key, value, "a string"),
    };

    /// <summary>A token id below <paramref name="vocabulary"/>.</summary>
    internal int? OptionalId(string key, int vocabulary) => Find(key) is not { } value ? null
        : Whole(value) is { } id and >= 0 && id < vocabulary ? (int)id : throw Wrong(key, value, $"a token id below the vocabulary's {vocabulary}");

    /// <summary>The length of a list of strings; null if there is none.</summary>
    internal long? OptionalCount(string key) => Find(key) switch
    {
        null => null,
        { Type: GgufValueType.List, Element: GgufValueType.Text } value => value.Count,
        { } value => throw Wrong(key, value, "a list of strings"),
    };

    /// <summary>A list of strings.</summary>
    internal string[] Texts(string key)
    {
        var texts = new string[OptionalCount(key) ?? throw Missing(key)];
        var from = At(key, values[key]);
        for (var i = 0; i < texts.Length; i++) texts[i] = from.Text();
        return texts;
    }

    /// <summary>A list of 32-bit whole numbers.</summary>
    internal int[] Numbers(string key)
    {
        var value = Find(key) ?? throw Missing(key);
        if (value is not { Type: GgufValueType.List, Element: GgufValueType.I32 or GgufValueType.U32 }) throw Wrong(key, value, "a list of whole numbers of 32 bits");
        var numbers = new int[value.Count];
        var from = At(key, value);
        for (var i = 0; i < numbers.Length; i++) numbers[i] = (int)from.U32();
        return numbers;
    }

    internal KoalaException Fault(string key, string fault, string fix) => new($"{path}: {key}", fault, fix);

    private GgufValue? Find(string key) => values.TryGetValue(key, out var value) ? value : null;

    private GgufReader At(string key, GgufValue value)
    {
        (reader.Position, reader.Item) = (value.Position, ("key", key));
        return reader;
    }

    private KoalaException Missing(string key) => Fault(key, "is missing", Correct);

    private KoalaException Wrong(string key, GgufValue value, string expected) => Fault(key, $"is {Show(key, value)}, but {expected} is expected", Correct);

    private string Show(string key, GgufValue value) => value.Type switch
    {
        GgufValueType.Text => $"'{MessageText.Text(At(key, value).Text())}'",
        GgufValueType.List => $"a list of {value.Count} values of type {value.Element}",
        GgufValueType.Bool => value.Bits == 1 ? "true" : "false",
        _ => Number(value)!.Value.ToString(CultureInfo.InvariantCulture),
    };

    // Null for what is no number, and for unsigned numbers that no size or id comes near.
    private static long? Whole(GgufValue value) => value.Type switch
    {
        GgufValueType.U8 or GgufValueType.U16 or GgufValueType.U32 => (long)value.Bits,
        GgufValueType.U64 => value.Bits <= long.MaxValue ? (long)value.Bits : null,
        GgufValueType.I8 => (sbyte)value.Bits,
        GgufValueType.I16 => (short)value.Bits,
        GgufValueType.I32 => (int)value.Bits,
        GgufValueType.I64 => (long)value.Bits,
        _ => null,
    };

    // A converter was given 1e-05 and wrote the nearest fp32: the shortest decimal is the number that was meant.
    private static double? Number(GgufValue value) => value.Type switch
    {
        GgufValueType.F32 => double.Parse(BitConverter.UInt32BitsToSingle((uint)value.Bits).ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture),
        GgufValueType.F64 => BitConverter.UInt64BitsToDouble(value.Bits),
        GgufValueType.U64 => value.Bits,
        _ => Whole(value),
    };
}
