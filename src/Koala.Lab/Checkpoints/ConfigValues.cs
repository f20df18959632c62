using System.Text.Json;

namespace Koala.Lab.Checkpoints;

/// <summary>Typed values out of a JSON object, each checked; null counts as absent, as in the files themselves.</summary>
/// <param name="json">The object.</param>
/// <param name="where">The file, for messages.</param>
internal sealed class ConfigValues(JsonElement json, string where)
{
    /// <summary>Every size has a ceiling, so that no later product overflows and no list is built from a hostile number.</summary>
    internal const int Largest = 1 << 24;

    internal bool Has(string key) => Find(key) is not null;

    internal int Size(string key, int largest = Largest) => OptionalSize(key, largest) ?? throw Missing(key);

    internal int? OptionalSize(string key, int largest = Largest)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var size) && size >= 1 && size <= largest ? size
            : throw Wrong(key, value, $"a whole number from 1 to {largest}");
    }

    internal double Positive(string key) => OptionalPositive(key) ?? throw Missing(key);

    internal double? OptionalPositive(string key)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number) && number > 0 ? number
            : throw Wrong(key, value, "a finite number above 0");
    }

    internal bool Switch(string key, bool otherwise) => Find(key) switch
    {
        null => otherwise,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(key, value, "true or false"),
    };

    internal string Text(string key) => OptionalText(key) ?? throw Missing(key);

    internal string? OptionalText(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } value => throw Wrong(key, value, "a string"),
    };

    internal IReadOnlyList<string> Texts(string key) => Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) =>
            [.. list.EnumerateArray().Select(item => item.GetString()!)],
        { } value => throw Wrong(key, value, "a list of strings"),
    };

    /// <summary>Token ids: one number or a list of them, each below <paramref name="vocabulary"/>.</summary>
    internal IReadOnlyList<int> Ids(string key, int vocabulary)
    {
        if (Find(key) is not { } value) return [];
        var items = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value];
        return [.. items.Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id >= 0 && id < vocabulary ? id
            : throw Wrong(key, value, $"a token id below the vocabulary's {vocabulary}, or a list of such"))];
    }

    internal ConfigValues? Section(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new ConfigValues(value, $"{where}: {key}"),
        { } value => throw Wrong(key, value, "an object"),
    };

    internal KoalaException Fault(string key, string fault, string mend) => new($"{where}: {key}", fault, mend);

    private KoalaException Missing(string key) => Fault(key, "is missing", "get the file again, or add the key");

    private KoalaException Wrong(string key, JsonElement value, string expected) =>
        Fault(key, $"is {Shown.Text(value.GetRawText())}, but {expected} is expected", "get the file again, or correct the value");

    private JsonElement? Find(string key) => json.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
