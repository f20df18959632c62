using Koala.Lab.Results;

namespace Koala.Cli.Output;

/// <summary>What <c>koala runs --json</c> prints.</summary>
/// <param name="Runs">The runs: values by the names of the columns.</param>
/// <param name="Damaged">What cannot be read.</param>
internal sealed record RunList(IReadOnlyList<IReadOnlyDictionary<string, object?>> Runs, IReadOnlyList<DamagedRun> Damaged)
{
    public static RunList Create(RunTable runs, IReadOnlyList<string>? columns)
    {
        var table = runs.ToTable(columns);
        return new RunList(
            [.. table.Rows.Select(row => table.Columns.Zip(row).ToDictionary(value => value.First, value => value.Second))], runs.Damaged);
    }
}
