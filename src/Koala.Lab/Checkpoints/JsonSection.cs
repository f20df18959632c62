using System.Text.Json;

namespace Koala.Lab.Checkpoints;

/// <summary>An object in a JSON file. Its members return typed, checked values; null counts as absent.</summary>
/// <param name="json">The object.</param>
/// <param name="file">The file, for messages.</param>
/// <param name="path">The keys that lead to the object.</param>
internal sealed class JsonSection(JsonElement json, string file, string path = "")
{
    private const string GetAgain = "get the file again, or correct the value";

    /// <summary>The object itself.</summary>
    public JsonElement Json => json;

    public string Text(string key) => OptionalText(key) ?? throw Missing(key);

    public string? OptionalText(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } value => throw Wrong(key, value, "a string"),
    };

    public bool Boolean(string key, bool defaultValue) => OptionalBoolean(key) ?? defaultValue;

    public bool? OptionalBoolean(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(key, value, "true or false"),
    };

    public int Number(string key) => OptionalNumber(key) ?? throw Missing(key);

    public int? OptionalNumber(string key)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : throw Wrong(key, value, "a whole number");
    }

    /// <summary>Returns a whole number from 1 to <paramref name="largest"/>.</summary>
    public int Size(string key, int largest = ModelConfig.LargestSize) => OptionalSize(key, largest) ?? throw Missing(key);

    public int? OptionalSize(string key, int largest = ModelConfig.LargestSize)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var size) && size >= 1 && size <= largest
            ? size
            : throw Wrong(key, value, $"a whole number from 1 to {largest}");
    }

    /// <summary>Returns a finite number above 0.</summary>
    public double Positive(string key) => OptionalPositive(key) ?? throw Missing(key);

    public double? OptionalPositive(string key)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number) && number > 0
            ? number
            : throw Wrong(key, value, "a finite number above 0");
    }

    /// <summary>Returns token ids: one number or a list of numbers, each below <paramref name="vocabulary"/>.</summary>
    public IReadOnlyList<int> Ids(string key, int vocabulary)
    {
        if (Find(key) is not { } value) return [];
        var items = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value];
        return [.. items.Select(Id)];

        int Id(JsonElement item) =>
            item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id >= 0 && id < vocabulary
                ? id
                : throw Wrong(key, value, $"a token id below the vocabulary size {vocabulary}, or a list of token ids");
    }

    public JsonSection Section(string key) => OptionalSection(key) ?? throw Missing(key);

    public JsonSection? OptionalSection(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new JsonSection(value, file, PathOf(key)),
        { } value => throw Wrong(key, value, "an object"),
    };

    /// <summary>Returns the values of a list.</summary>
    public IEnumerable<JsonElement> Array(string key) => Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } value => value.EnumerateArray(),
        { } value => throw Wrong(key, value, "a list"),
    };

    /// <summary>Returns the strings of a list.</summary>
    public IReadOnlyList<string> Texts(string key) => Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) =>
            [.. list.EnumerateArray().Select(item => item.GetString()!)],
        { } value => throw Wrong(key, value, "a list of strings"),
    };

    /// <summary>Returns the objects of a list.</summary>
    public IReadOnlyList<JsonSection> Items(string key) => [.. Array(key).Select((item, i) => Item(key, i, item))];

    /// <summary>Returns an object of a list.</summary>
    public JsonSection Item(string key, int index, JsonElement item) => item.ValueKind == JsonValueKind.Object
        ? new JsonSection(item, file, $"{PathOf(key)}[{index}]")
        : throw Wrong($"{key}[{index}]", item, "an object");

    public bool Has(string key) => Find(key) is not null;

    public JsonElement? Find(string key) =>
        json.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public KoalaException Fault(string key, string fault, string fix, Exception? inner = null) =>
        new($"{file}: {PathOf(key)}", fault, fix, inner);

    private KoalaException Missing(string key) => Fault(key, "is missing", "get the file again, or add the key");

    private KoalaException Wrong(string key, JsonElement value, string expected) =>
        Fault(key, $"is {MessageText.Text(value.GetRawText())}, but {expected} is expected", GetAgain);

    private string PathOf(string key) => path.Length == 0 ? key : $"{path}.{key}";
}
