using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Evaluation;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Results;

/// <summary>
/// The fields of a run by their path: those of run.json, the last value of each metric below <c>metrics</c>, and the newest report below
/// <c>report</c>. Before them stand a few with a short name, which make up the table of runs.
/// </summary>
internal static class RunFields
{
    /// <summary>The fields with a short name, and the paths that they stand for.</summary>
    private static readonly (string Name, string Path)[] s_short =
    [
        ("state", "state"),
        ("target", "options.targetIdentity.name"),
        ("head", "options.head.kind"),
        ("layers", "options.head.layers"),
        ("seed", "options.training.seed"),
        ("adversaryWeight", "options.training.adversary.weight"),
        ("steps", "metrics.step"),
        ("loss", "metrics.loss"),
        ("accuracy", "metrics.validationAccuracyAtDepth1"),
        ("acceptanceLength", "report.acceptanceLength.mean"),
        ("speedup", "report.speedup.median"),
        ("started", "started"),
    ];

    /// <summary>The columns of the table of runs.</summary>
    public static IReadOnlyList<string> Standard { get; } = ["name", .. s_short.Select(field => field.Name)];

    /// <summary>Reads the fields of a run.</summary>
    public static Dictionary<string, object?> Of(
        string name, RunRecord record, IReadOnlyList<MetricsLine> metrics, EvaluationReport? report)
    {
        var document = new Dictionary<string, object?>();
        Add(document, "", JsonSerializer.SerializeToNode(record, JsonFormat.Document));
        foreach (var (metric, value) in Last(metrics)) document[$"metrics.{metric}"] = value;
        if (report is not null) Add(document, "report", JsonSerializer.SerializeToNode(report, JsonFormat.Document));

        var fields = new Dictionary<string, object?> { ["name"] = name };
        foreach (var (field, path) in s_short) fields[field] = document.GetValueOrDefault(path);
        foreach (var (path, value) in document) fields.TryAdd(path, value);
        return fields;
    }

    // The last step has no accuracy where the run is still working or was stopped; then it is that of an earlier step.
    private static IEnumerable<KeyValuePair<string, object?>> Last(IReadOnlyList<MetricsLine> metrics)
    {
        if (metrics is [.., var last]) yield return new("step", (double)last.Step);
        foreach (var values in metrics.SelectMany(line => line.Values).Where(value => double.IsFinite(value.Value)).GroupBy(v => v.Key))
            yield return new(values.Key, values.Last().Value);
    }

    private static void Add(Dictionary<string, object?> fields, string path, JsonNode? node)
    {
        switch (node)
        {
            case JsonObject part:
                foreach (var (name, value) in part) Add(fields, path.Length == 0 ? name : $"{path}.{name}", value);
                break;
            case JsonArray list:
                foreach (var (i, value) in list.Index()) Add(fields, $"{path}[{i}]", value);
                break;
            default:
                fields[path] = Value(node);
                break;
        }
    }

    private static object? Value(JsonNode? node) => node?.GetValueKind() switch
    {
        JsonValueKind.Number => node.GetValue<double>(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.String => node.GetValue<string>(),
        _ => null,
    };
}
