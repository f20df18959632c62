using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Runtime.Files;

namespace Koala.Cli.Output;

/// <summary>Values as text for standard output: as JSON or as a listing.</summary>
internal static class JsonOutput
{
    /// <summary>Indented JSON.</summary>
    public static string Document(object value) => JsonSerializer.Serialize(value, value.GetType(), JsonFormat.Document);

    /// <summary>JSON on one line.</summary>
    public static string Line(object value) => JsonSerializer.Serialize(value, value.GetType(), JsonFormat.Line);

    /// <summary>
    /// The values of a document, one per line and named by their path: what a person reads instead of JSON.
    /// </summary>
    public static string Listing(object value)
    {
        var rows = Rows("", JsonSerializer.SerializeToNode(value, value.GetType(), JsonFormat.Document)).ToArray();
        var width = rows.Max(row => row.Name.Length) + 2;
        return string.Join('\n', rows.Select(row => row.Name.PadRight(width) + row.Value));
    }

    private static IEnumerable<(string Name, string Value)> Rows(string name, JsonNode? node) => node switch
    {
        JsonObject o => o.SelectMany(property => Rows(name.Length == 0 ? property.Key : $"{name}.{property.Key}", property.Value)),
        JsonArray a when a.All(item => item is null or JsonValue) => [(name, string.Join(" ", a.Select(Plain)))],
        JsonArray a => a.SelectMany((item, i) => Rows($"{name}[{i}]", item)),
        _ => [(name, Plain(node))],
    };

    private static string Plain(JsonNode? node) => node?.ToString() ?? "-";
}
