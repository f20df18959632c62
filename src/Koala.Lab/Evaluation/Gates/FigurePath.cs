using System.Globalization;
using System.Text.Json;

namespace Koala.Lab.Evaluation.Gates;

/// <summary>Names a value of a JSON document: names with dots between them, and numbers of list items in brackets.</summary>
internal static class FigurePath
{
    /// <summary>The value with a name.</summary>
    /// <exception cref="KoalaException">There is none.</exception>
    public static JsonElement Find(JsonElement document, string path)
    {
        var at = document;
        foreach (var part in path.Replace("[", ".[", StringComparison.Ordinal).Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            var found = part is ['[', .. var number, ']']
                ? Item(at, number)
                : at.ValueKind == JsonValueKind.Object && at.TryGetProperty(part, out var value) ? value : (JsonElement?)null;
            at = found ?? throw new KoalaException($"figure {MessageText.Text(path)}", $"the report has no {MessageText.Text(part)} there"
                + (at.ValueKind == JsonValueKind.Object ? $", but {Names(at)}" : ""), "name a figure as the report's JSON does");
        }
        return at;
    }

    private static JsonElement? Item(JsonElement list, string number) =>
        list.ValueKind == JsonValueKind.Array && int.TryParse(number, CultureInfo.InvariantCulture, out var i) && i >= 0
            && i < list.GetArrayLength() ? list[i] : null;

    private static string Names(JsonElement value) => string.Join(", ", value.EnumerateObject().Select(property => property.Name));
}
