using Koala.Lab.Results;
using Koala.Lab.Runs;

namespace Koala.Cli.Export;

/// <summary>
/// A file per run for Trackio's <c>import_csv</c>, which needs a column <c>step</c> and takes every other column for a metric.
/// </summary>
internal static class TrackioCsv
{
    public static void Write(RunTable runs, string folder)
    {
        foreach (var row in runs.Rows)
            File.WriteAllText(Path.Combine(folder, $"{FileName(row.Name)}.csv"), Csv.Render(StepsOf(row)));
    }

    // Runs that lie in folders of their own, such as a control, get one name: RUN-control.
    private static string FileName(string name) => name.Replace(Path.DirectorySeparatorChar, '-');

    private static ResultTable StepsOf(RunRow row) => ResultTable.From(MetricsLog.Read(row.Folder.MetricsFile).Select(line =>
    {
        var values = new Dictionary<string, object?> { ["step"] = (double)line.Step };
        foreach (var (name, value) in line.Values) values[name] = double.IsFinite(value) ? value : null;
        return values;
    }));
}
