using Koala.Lab.Results;

namespace Koala.Cli.Export;

/// <summary>What trackers distinguish in a run: what was set, and what came out.</summary>
internal static class RunFigures
{
    private const string OptionsPrefix = "options.";
    private const string MetricsPrefix = "metrics.";
    private const string ReportPrefix = "report.";

    /// <summary>The options by their path in run.json.</summary>
    public static IEnumerable<KeyValuePair<string, object?>> Options(RunRow row) => Below(row, OptionsPrefix);

    /// <summary>The last value of each metric, and the figures of the newest report that are no items of lists.</summary>
    public static IEnumerable<KeyValuePair<string, double>> Figures(RunRow row)
    {
        var metrics = Below(row, MetricsPrefix).Where(field => field.Key != "step");
        var report = Below(row, ReportPrefix).Where(field => !field.Key.Contains('['))
            .Select(field => KeyValuePair.Create(ReportPrefix + field.Key, field.Value));
        foreach (var (name, value) in metrics.Concat(report))
            if (value is double number) yield return new(name, number);
    }

    private static IEnumerable<KeyValuePair<string, object?>> Below(RunRow row, string prefix) => row.Fields
        .Where(field => field.Key.StartsWith(prefix, StringComparison.Ordinal))
        .Select(field => KeyValuePair.Create(field.Key[prefix.Length..], field.Value));
}
