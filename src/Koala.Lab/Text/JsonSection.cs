using System.Text.Json;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text;

/// <summary>An object in a JSON file: typed values, each checked; null counts as absent.</summary>
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

    public bool Switch(string key, bool otherwise) => Find(key) switch
    {
        null => otherwise,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(key, value, "true or false"),
    };

    public int Number(string key)
    {
        var value = Find(key) ?? throw Missing(key);
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : throw Wrong(key, value, "a whole number");
    }

    public JsonSection Section(string key) => OptionalSection(key) ?? throw Missing(key);

    public JsonSection? OptionalSection(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new JsonSection(value, file, Below(key)),
        { } value => throw Wrong(key, value, "an object"),
    };

    /// <summary>The values of a list.</summary>
    public IEnumerable<JsonElement> Array(string key) => Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } value => value.EnumerateArray(),
        { } value => throw Wrong(key, value, "a list"),
    };

    /// <summary>The strings of a list.</summary>
    public IReadOnlyList<string> Texts(string key) =>
        [.. Array(key).Select((item, i) => item.ValueKind == JsonValueKind.String ? item.GetString()! : throw Wrong($"{key}[{i}]", item, "a string"))];

    /// <summary>The objects of a list.</summary>
    public IReadOnlyList<JsonSection> Items(string key) =>
    [
        .. Array(key).Select((item, i) => item.ValueKind == JsonValueKind.Object
            ? new JsonSection(item, file, $"{Below(key)}[{i}]") : throw Wrong($"{key}[{i}]", item, "an object")),
    ];

    public bool Has(string key) => Find(key) is not null;

    public JsonElement? Find(string key) => json.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public KoalaException Unsupported(string key, string value) =>
        Fault(key, $"is '{Shown.Text(value)}', which Koala does not know", "use a model with a byte-level BPE tokenizer");

    public KoalaException Fault(string key, string fault, string mend, Exception? inner = null) => new($"{file}: {Below(key)}", fault, mend, inner);

    private KoalaException Missing(string key) => Fault(key, "is missing", "get the file again, or add the key");

    private KoalaException Wrong(string key, JsonElement value, string expected) =>
        Fault(key, $"is {Shown.Text(value.GetRawText())}, but {expected} is expected", GetAgain);

    private string Below(string key) => path.Length == 0 ? key : $"{path}.{key}";
}
