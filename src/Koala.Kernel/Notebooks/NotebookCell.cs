using System.Text.Json.Nodes;

namespace Koala.Kernel.Notebooks;

/// <summary>A view of the JSON of one cell of a notebook. Members that are not set stay as they were.</summary>
/// <param name="json">The cell, as <see cref="NotebookFile"/> has checked it.</param>
/// <param name="notebookLanguage">The language of the cell if its own metadata names none.</param>
internal sealed class NotebookCell(JsonObject json, string notebookLanguage = CellLanguage.CSharp)
{
    /// <summary>The tag of a cell that is not run; its outputs stay as they are. (nbclient)</summary>
    public const string SkipTag = "skip-execution";

    /// <summary>The tag of a cell whose error is an output like any other. (nbclient)</summary>
    public const string RaisesTag = "raises-exception";

    public JsonObject Json => json;

    public string Kind => json["cell_type"]!.GetValue<string>();

    public bool IsCode => Kind == "code";

    public string Source => Text(json["source"]);

    public bool IsEmpty => string.IsNullOrWhiteSpace(Source);

    /// <summary>The language of a code cell; <see cref="CellLanguage"/> lists those that run.</summary>
    public string Language => CellLanguage.OfCell((JsonObject)json["metadata"]!) ?? notebookLanguage;

    public bool IsSkipped => Tags.Contains(SkipTag);

    /// <summary>Whether the run goes on after an error of this cell.</summary>
    public bool MayRaise => Tags.Contains(RaisesTag);

    /// <summary>Whether this process has run the cell, so that its outputs are not those that the file came with.</summary>
    public bool HasRun { get; set; }

    public IReadOnlyList<string> Tags =>
        json["metadata"]?["tags"] is JsonArray tags ? [.. tags.OfType<JsonValue>().Select(tag => tag.ToString())] : [];

    public JsonArray Outputs => (JsonArray)json["outputs"]!;

    public int? ExecutionCount
    {
        get => json["execution_count"]?.GetValue<int>();
        set => json["execution_count"] = value;
    }

    /// <summary>Reads text that the format stores as one string or as a list of lines.</summary>
    public static string Text(JsonNode? node) => node switch
    {
        JsonArray lines => string.Concat(lines.Select(line => line?.ToString())),
        null => "",
        _ => node.ToString(),
    };

    /// <summary>Splits text into a list of lines that keep their line feeds, as the format stores it.</summary>
    public static JsonArray Lines(string text)
    {
        var lines = new JsonArray();
        for (var start = 0; start < text.Length;)
        {
            var lineFeed = text.IndexOf('\n', start);
            var end = lineFeed >= 0 ? lineFeed + 1 : text.Length;
            lines.Add(JsonValue.Create(text[start..end]));
            start = end;
        }
        return lines;
    }

    public static NotebookCell NewCode(string id, string source, params string[] tags) => new(new JsonObject
    {
        ["cell_type"] = "code",
        ["execution_count"] = null,
        ["id"] = id,
        ["metadata"] = new JsonObject { ["tags"] = new JsonArray([.. tags.Select(tag => JsonValue.Create(tag))]) },
        ["outputs"] = new JsonArray(),
        ["source"] = Lines(source),
    });
}
