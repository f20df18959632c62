using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Koala.Lab.Results;
using Koala.Lab.Runs;

namespace Koala.Cli.Export;

/// <summary>
/// A folder that MLflow opens as its store (<c>mlflow ui --backend-store-uri FOLDER</c>): an experiment with a folder per run, in which
/// parameters, metrics and tags are files. A run's artifacts are the run folder itself, which stays where it is.
/// </summary>
/// <remarks>The files meta.yaml are written as JSON, of which every document is YAML too.</remarks>
internal static partial class MlflowStore
{
    private const string Experiment = "1";
    private const string ExperimentName = "koala";
    private const string Active = "active";

    // MLflow refuses longer values of parameters.
    private const int LongestParameter = 6000;

    /// <param name="runs">The runs.</param>
    /// <param name="folder">The folder to write into.</param>
    /// <param name="store">The path that the folder will have.</param>
    public static void Write(RunTable runs, string folder, string store)
    {
        var experiment = Directory.CreateDirectory(Path.Combine(folder, Experiment)).FullName;
        var started = runs.Rows.Min(row => row.Record.Started).ToUnixTimeMilliseconds();
        WriteMeta(experiment, new Dictionary<string, object?>
        {
            ["artifact_location"] = new Uri(Path.Combine(store, Experiment)).AbsoluteUri,
            ["creation_time"] = started,
            ["experiment_id"] = Experiment,
            ["last_update_time"] = started,
            ["lifecycle_stage"] = Active,
            ["name"] = ExperimentName,
        });
        foreach (var row in runs.Rows) WriteRun(row, experiment);
    }

    private static void WriteRun(RunRow row, string experiment)
    {
        var id = IdOf(row);
        var folder = Directory.CreateDirectory(Path.Combine(experiment, id)).FullName;
        WriteMeta(folder, new Dictionary<string, object?>
        {
            ["artifact_uri"] = new Uri(row.Folder.Path).AbsoluteUri,
            ["end_time"] = row.Record.Ended?.ToUnixTimeMilliseconds(),
            ["entry_point_name"] = "",
            ["experiment_id"] = Experiment,
            ["lifecycle_stage"] = Active,
            ["run_id"] = id,
            ["run_name"] = row.Name,
            ["run_uuid"] = id,
            ["source_name"] = "",
            ["source_type"] = 4,
            ["source_version"] = row.Record.Commit?.Hash ?? "",
            ["start_time"] = row.Record.Started.ToUnixTimeMilliseconds(),
            ["status"] = Status(row.Record.State),
            ["tags"] = Array.Empty<string>(),
            ["user_id"] = "",
        });
        WriteFiles(folder, "params", RunFigures.Options(row).Select(option => KeyValuePair.Create(option.Key, Parameter(option.Value))));
        WriteFiles(folder, "metrics", Metrics(row).GroupBy(point => point.Name)
            .Select(points => KeyValuePair.Create(points.Key, string.Concat(points.Select(point => point.Line)))));
        WriteFiles(folder, "tags", Tags(row));
    }

    private static IEnumerable<(string Name, string Line)> Metrics(RunRow row)
    {
        var lines = MetricsLog.Read(row.Folder.MetricsFile);
        foreach (var line in lines)
        {
            var time = row.Record.Started.AddSeconds(line.Values.GetValueOrDefault("seconds")).ToUnixTimeMilliseconds();
            foreach (var (name, value) in line.Values.Where(value => double.IsFinite(value.Value)))
                yield return (name, Line(time, value, line.Step));
        }
        var measured = (row.Report?.Provenance?.Measured ?? row.Record.Started).ToUnixTimeMilliseconds();
        foreach (var (name, value) in RunFigures.Figures(row).Where(figure => figure.Key.StartsWith("report.", StringComparison.Ordinal)))
            yield return (name, Line(measured, value, lines is [.., var last] ? last.Step : 0));
    }

    private static string Line(long time, double value, int step) =>
        string.Create(CultureInfo.InvariantCulture, $"{time} {value:R} {step}\n");

    private static IEnumerable<KeyValuePair<string, string>> Tags(RunRow row)
    {
        yield return new("mlflow.runName", row.Name);
        yield return new("mlflow.source.name", $"koala {string.Join(' ', row.Record.Command)}");
        if (row.Record.Commit is { } commit) yield return new("mlflow.source.git.commit", commit.Hash);
    }

    // Names of parameters and metrics may not have brackets.
    private static void WriteFiles(string run, string kind, IEnumerable<KeyValuePair<string, string>> files)
    {
        var folder = Directory.CreateDirectory(Path.Combine(run, kind)).FullName;
        foreach (var (name, text) in files) File.WriteAllText(Path.Combine(folder, Brackets().Replace(name, ".$1")), text);
    }

    private static void WriteMeta(string folder, Dictionary<string, object?> values) =>
        File.WriteAllText(Path.Combine(folder, "meta.yaml"), JsonSerializer.Serialize(values) + "\n");

    private static string Parameter(object? value) => ResultText.Exact(value) is var text && text.Length > LongestParameter
        ? text[..LongestParameter]
        : text;

    // The same run has the same id in every export.
    private static string IdOf(RunRow row)
    {
        var identity = $"{row.Name} {row.Record.Started:O} {row.Record.OptionsHash}";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity)))[..32];
    }

    private static int Status(RunState state) => state switch
    {
        RunState.Running => 1,
        RunState.Finished => 3,
        RunState.Failed => 4,
        _ => 5,
    };

    [GeneratedRegex(@"\[(\d+)\]")]
    private static partial Regex Brackets();
}
