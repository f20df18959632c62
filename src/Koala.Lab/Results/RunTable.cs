using System.Globalization;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;

namespace Koala.Lab.Results;

/// <summary>
/// The runs of a folder: to list, to filter by any field, to sort, and to turn into tables. A notebook shows it as a table.
/// </summary>
[TypeFormatterSource]
public sealed class RunTable
{
    private readonly Lazy<FieldNames> _names;

    private RunTable(IReadOnlyList<RunRow> rows, IReadOnlyList<DamagedRun> damaged, Lazy<FieldNames>? names = null)
    {
        Rows = rows;
        Damaged = damaged;
        _names = names ?? new(() => new FieldNames(rows.SelectMany(row => row.Fields.Keys)));
    }

    /// <summary>The columns that a table of runs has unless others are chosen.</summary>
    public static IReadOnlyList<string> StandardColumns => RunFields.Standard;

    /// <summary>The runs. Those that <see cref="Read"/> found are in the order of their names.</summary>
    public IReadOnlyList<RunRow> Rows { get; }

    /// <summary>What cannot be read: runs, which are then not among the rows, and reports of runs.</summary>
    public IReadOnlyList<DamagedRun> Damaged { get; }

    /// <summary>Reads all runs at and below folders, with their controls.</summary>
    /// <param name="folders">
    /// Folders of runs, or folders that contain runs at any depth. With one folder the names of the runs are their paths below it, with
    /// several they begin with the folder.
    /// </param>
    /// <exception cref="KoalaException">There is no such folder.</exception>
    public static RunTable Read(params IEnumerable<string> folders)
    {
        string[] all = [.. folders];
        var (rows, damaged) = (new List<RunRow>(), new List<DamagedRun>());
        foreach (var (folder, path) in all.SelectMany(folder => RunFinder.Find(folder).Select(path => (folder, path))))
        {
            var name = NameOf(folder, path, withFolder: all.Length > 1);
            void AddDamaged(KoalaException e) => damaged.Add(new DamagedRun(name, e.Message.ReplaceLineEndings(" ")));
            try
            {
                rows.Add(RunRow.Read(RunFolder.Open(path), name, AddDamaged));
            }
            catch (KoalaException e)
            {
                AddDamaged(e);
            }
        }
        return new RunTable(rows, damaged);
    }

    /// <summary>The runs that satisfy conditions.</summary>
    /// <param name="conditions">
    /// Conditions joined by <c>and</c> and <c>or</c>, such as <c>layers>=2 and state=finished or name~best</c>; <c>and</c> binds more
    /// closely. A field is named by its path, or by the end of its path; the operators are =, !=, &lt;, &lt;=, &gt;, &gt;= and ~, which
    /// stands for "contains". A run without the field satisfies no condition on it.
    /// </param>
    /// <exception cref="KoalaException">The text is something else, no run has the field, or a number is compared with a word.</exception>
    public RunTable Where(string conditions)
    {
        ArgumentNullException.ThrowIfNull(conditions);
        var alternatives = RunCondition.Parse(conditions);
        if (Rows.Count == 0) return this;
        var paths = alternatives.SelectMany(all => all).Select(condition => condition.Field).Distinct()
            .ToDictionary(field => field, field => _names.Value.Find(field, nameof(Where)));
        bool Satisfies(RunRow row) => alternatives.Any(all =>
            all.All(condition => condition.Holds(row.Fields.GetValueOrDefault(paths[condition.Field]))));
        return new RunTable([.. Rows.Where(Satisfies)], Damaged, _names);
    }

    /// <summary>The runs in the order of a field; those without it come last.</summary>
    /// <param name="field">The field, named as in <see cref="Where"/>.</param>
    /// <param name="descending">Whether the largest value comes first.</param>
    /// <exception cref="KoalaException">No run has the field.</exception>
    public RunTable Sort(string field, bool descending = false)
    {
        ArgumentNullException.ThrowIfNull(field);
        if (Rows.Count == 0) return this;
        var path = _names.Value.Find(field, nameof(Sort));
        var order = Comparer<object?>.Create((a, b) => Compare(a, b) * (descending ? -1 : 1));
        object? Value(RunRow row) => row.Fields.GetValueOrDefault(path);
        return new RunTable([.. Rows.OrderBy(row => Value(row) is null).ThenBy(Value, order)], Damaged, _names);
    }

    /// <summary>One row per run.</summary>
    /// <param name="columns">Fields, named as in <see cref="Where"/>; null means <see cref="StandardColumns"/>.</param>
    /// <exception cref="KoalaException">No run has a field of these.</exception>
    public ResultTable ToTable(IReadOnlyList<string>? columns = null)
    {
        string[] names = [.. (columns ?? StandardColumns).Distinct()];
        if (Rows.Count == 0) return new ResultTable(names, []);
        string[] paths = [.. names.Select(name => _names.Value.Find(name, "Columns"))];
        return new ResultTable(names,
            [.. Rows.Select(row => (IReadOnlyList<object?>)[.. paths.Select(path => row.Fields.GetValueOrDefault(path))])]);
    }

    /// <summary>One row per step of each run: <c>run</c>, <c>step</c>, and the names of metrics.jsonl.</summary>
    /// <exception cref="KoalaException">A metrics.jsonl cannot be read or is damaged.</exception>
    public ResultTable ToSteps() => ResultTable.From(Rows.SelectMany(row => MetricsLog.Read(row.Folder.MetricsFile).Select(line =>
    {
        var values = new Dictionary<string, object?> { ["run"] = row.Name, ["step"] = (double)line.Step };
        foreach (var (name, value) in line.Values) values[name] = double.IsFinite(value) ? value : null;
        return values;
    })));

    /// <summary>One row per answer of each run's newest report, where the report has its answers.</summary>
    public ResultTable ToAnswers() =>
        ResultTable.From(Rows.SelectMany(row => (row.Report?.Answers ?? []).Select(answer => AnswerFields.Of(row.Name, answer))));

    /// <summary>The number of runs; a notebook shows them.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Rows.Count} runs{(Damaged.Count == 0 ? "" : $", {Damaged.Count} damaged")}");

    // A run that is named itself has the name of its folder.
    private static string NameOf(string folder, string path, bool withFolder)
    {
        var below = Path.GetRelativePath(folder, path);
        if (below == ".") return withFolder ? folder : Path.GetFileName(Path.GetFullPath(path));
        return withFolder ? Path.Combine(folder, below) : below;
    }

    // A field that is a number in one run can be a word in another; numbers come first.
    private static int Compare(object? a, object? b) => (a, b) switch
    {
        (double x, double y) => x.CompareTo(y),
        (double, _) => -1,
        (_, double) => 1,
        _ => string.CompareOrdinal(a?.ToString(), b?.ToString()),
    };
}
