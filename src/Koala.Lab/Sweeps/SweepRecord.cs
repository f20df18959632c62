using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Sweeps;

/// <summary>The contents of sweep.json: the plan of a sweep, and what was chosen when it began.</summary>
internal sealed record SweepRecord
{
    /// <summary>The format version that this Koala writes and reads.</summary>
    public const int CurrentFormat = 1;

    private const long LargestFile = 64 << 20;

    /// <summary>The version of the file's format.</summary>
    [JsonPropertyOrder(-1)]
    public int FormatVersion { get; init; } = CurrentFormat;

    /// <summary>The plan in its canonical form.</summary>
    public required JsonNode Plan { get; init; }

    /// <summary>The hash of the plan.</summary>
    public required string PlanHash { get; init; }

    /// <summary>The number of threads of all cells: sums that are split into another number of parts round differently.</summary>
    public required int Threads { get; init; }

    /// <summary>When the sweep first began.</summary>
    public required DateTimeOffset Started { get; init; }

    public void Write(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonFormat.Document) + "\n");

    /// <exception cref="KoalaException">The file cannot be read, is malformed, or has another format version.</exception>
    public static SweepRecord Read(string file)
    {
        var text = InputFile.ReadText(file, LargestFile);
        try
        {
            var version = JsonNode.Parse(text)?["formatVersion"]?.GetValue<int>();
            if (version is not null and not CurrentFormat)
            {
                throw new KoalaException(file, $"has format version {version}, but this Koala reads {CurrentFormat}",
                    "use the version of Koala that wrote it");
            }
            return JsonSerializer.Deserialize<SweepRecord>(text, JsonFormat.Document) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException or FormatException)
        {
            throw new KoalaException(file, $"cannot be read as a sweep's record ({MessageText.Sentence(e.Message)})",
                "restore the file, or begin a new sweep", e);
        }
    }
}
