using Koala.Lab.Results;

namespace Koala.Cli.Export;

/// <summary>
/// A row per run with <c>name</c>, the configuration (<c>config.…</c>) and the last figures (<c>summary.…</c>), from which a script of
/// a few lines logs each row as a run of Weights &amp; Biases (docs/runs.md).
/// </summary>
internal static class WandbCsv
{
    public static string Render(RunTable runs) => Csv.Render(ResultTable.From(runs.Rows.Select(row =>
    {
        var values = new Dictionary<string, object?> { ["name"] = row.Name };
        foreach (var (name, value) in RunFigures.Options(row)) values[$"config.{name}"] = value;
        foreach (var (name, value) in RunFigures.Figures(row)) values[$"summary.{name}"] = value;
        return values;
    })));
}
