using System.Text.Json;
using System.Text.Json.Serialization;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Evaluation.Gates;

/// <summary>Thresholds that a measurement must pass, and the command that makes it. <c>koala gate</c> checks them.</summary>
/// <param name="Thresholds">The thresholds, at least one.</param>
public sealed record Gate(IReadOnlyList<Threshold> Thresholds)
{
    private const long LongestFile = 1L << 20;

    /// <summary>The arguments of <c>koala</c> that measure; null if only given reports are checked.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(-1)]
    public IReadOnlyList<string>? Command { get; init; }

    /// <summary>The figures that <see cref="Create"/> watches: losslessness and acceptance, which do not depend on the machine.</summary>
    public static IReadOnlyList<string> StandardFigures { get; } = ["lossless", "acceptanceLength.mean"];

    /// <summary>Makes a gate of a report: no figure may get worse than now by more than the tolerance.</summary>
    /// <param name="report">The report.</param>
    /// <param name="figures">Figures of which more is better.</param>
    /// <param name="below">How far they may fall: a number, or a text such as 2%.</param>
    /// <exception cref="KoalaException">The report has no such figure, or it was not measured.</exception>
    public static Gate Create(EvaluationReport report, IReadOnlyList<string> figures, string below)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(figures);
        var json = JsonSerializer.SerializeToElement(report, JsonFormat.Document);
        var limit = JsonSerializer.SerializeToElement(below, JsonFormat.Document);
        var gate = new Gate([.. figures.Select(figure =>
        {
            var value = FigurePath.Find(json, figure);
            return new Threshold(figure, value) { Below = value.ValueKind == JsonValueKind.Number ? limit : null };
        })])
        {
            Command = report.Provenance?.Command,
        };
        return gate.Validated("the gate");
    }

    /// <summary>Reads a gate's file.</summary>
    /// <exception cref="KoalaException">The file is missing or no gate, or a threshold says nothing.</exception>
    public static Gate Load(string file)
    {
        ArgumentNullException.ThrowIfNull(file);
        const string Fix = "make a gate from a report";
        try
        {
            var gate = JsonSerializer.Deserialize<Gate>(InputFile.Read(file, LongestFile), JsonFormat.Document)
                ?? throw new KoalaException(file, "is not a gate", Fix);
            return gate.Validated(file);
        }
        catch (JsonException e)
        {
            throw new KoalaException(file, $"is not a gate ({MessageText.Text(e.Message)})", Fix);
        }
    }

    /// <summary>Writes the gate's file.</summary>
    public void Save(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonFormat.Document) + "\n");

    /// <summary>Checks a report.</summary>
    /// <exception cref="KoalaException">The report has no figure of a threshold.</exception>
    public GateReport Check(EvaluationReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        var json = JsonSerializer.SerializeToElement(report, JsonFormat.Document);
        return new GateReport(report.Provenance?.Command ?? Command, [.. Thresholds.Select(threshold => threshold.Check(json))]);
    }

    private Gate Validated(string where)
    {
        if (Thresholds.Count == 0)
        {
            throw new KoalaException(where, "has no thresholds, so nothing could fail",
                "give \"thresholds\" with \"figure\", \"value\" and \"below\" or \"above\"");
        }
        foreach (var (i, threshold) in Thresholds.Index())
            if (threshold.Fault() is { } fault) throw new KoalaException($"{where}, threshold {i + 1}", fault, "correct it");
        return this;
    }
}

/// <summary>What a gate found.</summary>
/// <param name="Command">The arguments of <c>koala</c> that repeat the measurement; null if they were not recorded.</param>
/// <param name="Results">Each threshold's result.</param>
[TypeFormatterSource]
public sealed record GateReport(IReadOnlyList<string>? Command, IReadOnlyList<ThresholdResult> Results)
{
    /// <summary>Whether all thresholds passed.</summary>
    public bool Passed => Results.All(result => result.Passed);

    /// <summary>The rows, those that failed first, and how to repeat the measurement if there are such.</summary>
    public override string ToString()
    {
        var rows = string.Join('\n', Results.OrderBy(result => result.Passed));
        var failed = Results.Count(result => !result.Passed);
        if (failed == 0) return $"{rows}\nall {Results.Count} thresholds passed\n";
        var repeat = Command is null ? "" : $"; repeat with: koala {string.Join(' ', Command)}";
        return $"{rows}\n{failed} of {Results.Count} thresholds failed{repeat}\n";
    }
}
