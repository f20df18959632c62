using Koala.Lab.Runtime;

namespace Koala.Lab.Results;

/// <summary>Results as rows of values under named columns, which a notebook shows as a table and which exports write.</summary>
/// <param name="Columns">The names of the columns, each once.</param>
/// <param name="Rows">
/// The rows, with one value per column: a text, a number (double), true or false, or null where a row has no such value.
/// </param>
[TypeFormatterSource]
public sealed record ResultTable(IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<object?>> Rows)
{
    /// <summary>Makes a table of rows that need not all have the same columns, in the order in which the columns first occur.</summary>
    /// <param name="rows">The rows: values by the names of their columns.</param>
    public static ResultTable From(IEnumerable<IReadOnlyDictionary<string, object?>> rows)
    {
        IReadOnlyDictionary<string, object?>[] all = [.. rows];
        string[] columns = [.. all.SelectMany(row => row.Keys).Distinct()];
        IReadOnlyList<object?> Values(IReadOnlyDictionary<string, object?> row) =>
            [.. columns.Select(column => row.GetValueOrDefault(column))];
        return new ResultTable(columns, [.. all.Select(Values)]);
    }

    /// <summary>The table without the columns in which no row has a value.</summary>
    public ResultTable WithoutEmptyColumns()
    {
        int[] kept = [.. Enumerable.Range(0, Columns.Count).Where(i => Rows.Any(row => row[i] is not null))];
        return new ResultTable([.. kept.Select(i => Columns[i])],
            [.. Rows.Select(row => (IReadOnlyList<object?>)[.. kept.Select(i => row[i])])]);
    }

    /// <summary>The table in one line; a notebook shows the rows.</summary>
    public override string ToString() => $"{Rows.Count} rows of {string.Join(", ", Columns)}";
}
