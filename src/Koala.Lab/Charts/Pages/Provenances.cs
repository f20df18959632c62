using Koala.Lab.Charts.Tables;
using Koala.Lab.Results;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Machine;

namespace Koala.Lab.Charts.Pages;

/// <summary>The parts of a page that say how a result came about: the configuration and the provenance.</summary>
internal static class Provenances
{
    private const string Options = "options.";
    private static readonly Column[] s_pairs = [new("", Number: false), new("", Number: false)];

    /// <summary>All options of a run.</summary>
    public static string Configuration(RunRow run) => Pairs(OptionsOf(run).Select(option => (option.Key, option.Value)));

    /// <summary>The options that are not the same in all runs, as a table, and below it those that are.</summary>
    public static string Differences(RunTable runs)
    {
        var options = runs.Rows.Select(row => OptionsOf(row).ToDictionary(option => option.Key, option => option.Value)).ToArray();
        string[] names = [.. options.SelectMany(option => option.Keys).Distinct()];
        bool Differs(string name) => options.Select(option => option.GetValueOrDefault(name, "")).Distinct().Count() > 1;
        string[] different = [.. names.Where(Differs)];
        var table = new TextTable([new("name", Number: false), .. different.Select(name => new Column(name, Number: false))],
            [.. runs.Rows.Zip(options, (row, option) => (IReadOnlyList<string>)
                [row.Name, .. different.Select(name => option.GetValueOrDefault(name, ""))])]);
        var same = names.Except(different).Select(name => (name, options[0][name]));
        var differences = different.Length == 0 ? "" : $"<p>Different:</p>\n{ResultPage.Scroll(table.ToHtml())}";
        return $"{differences}<p>The same in all runs:</p>\n{Pairs(same)}";
    }

    /// <summary>How a run came about.</summary>
    public static string OfRun(RunRow run)
    {
        var record = run.Record;
        return Pairs(
        [
            ("folder", run.Folder.Path),
            ("command", Command(record.Command)),
            ("state", ResultText.Rounded(run.Fields["state"])),
            .. record.Failure is { } failure ? [("failure", failure)] : Array.Empty<(string, string)>(),
            ("started", Time(record.Started)),
            ("ended", record.Ended is { } ended ? Time(ended) : ""),
            ("commit", Commit(record.Commit)),
            .. Machine(record.Machine),
            .. record.Packages.Select(package => ($"version of {package.Key}", package.Value)),
            .. run.Report?.Provenance is { } report ? ReportPairs(report).Select(pair => ($"report: {pair.Name}", pair.Value)) : [],
        ]);
    }

    /// <summary>How a report came about.</summary>
    public static string OfReport(Provenance report) => Pairs(ReportPairs(report));

    /// <summary>How several runs came about, one row per run.</summary>
    public static string OfRuns(RunTable runs)
    {
        string[] columns = ["name", "started", "commit", "processor", "command"];
        var rows = runs.Rows.Select(row => (IReadOnlyList<string>)
        [
            row.Name, Time(row.Record.Started), Page.Short(row.Record.Commit), row.Record.Machine.Gpu?.Name ?? row.Record.Machine.Cpu,
            Command(row.Record.Command),
        ]);
        return ResultPage.Scroll(new TextTable([.. columns.Select(name => new Column(name, Number: false))], [.. rows]).ToHtml());
    }

    private static IEnumerable<(string Name, string Value)> ReportPairs(Provenance report) =>
    [
        ("command", Command(report.Command)),
        ("measured", Time(report.Measured)),
        ("commit", Commit(report.Commit)),
        ("libtorch", report.LibTorch),
        ("prompts", report.Prompts is null ? "" : $"{report.Prompts}, SHA-256 {report.PromptsHash}…"),
        .. Machine(report.Machine),
    ];

    private static IEnumerable<(string Name, string Value)> Machine(MachineInfo machine)
    {
        yield return ("processor", $"{machine.Cpu}, {machine.Cores} cores");
        if (machine.Gpu is { } gpu) yield return ("GPU", gpu.Name);
        yield return ("memory", $"{machine.MemoryBytes / (1L << 30)} GiB");
        yield return ("system", $"{machine.Os}, .NET {machine.DotNet}");
    }

    private static IEnumerable<KeyValuePair<string, string>> OptionsOf(RunRow run) => run.Fields
        .Where(field => field.Key.StartsWith(Options, StringComparison.Ordinal))
        .Select(field => KeyValuePair.Create(field.Key[Options.Length..], ResultText.Rounded(field.Value)));

    private static string Command(IReadOnlyList<string> words) => words.Count == 0 ? "" : $"koala {string.Join(' ', words)}";

    private static string Commit(GitCommit? commit) => commit is null ? "unknown" : commit.Hash + (commit.Clean ? "" : " with changes");

    private static string Time(DateTimeOffset time) => $"{time.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC";

    private static string Pairs(IEnumerable<(string Name, string Value)> pairs)
    {
        var rows = pairs.Where(pair => pair.Value.Length > 0).Select(pair => (IReadOnlyList<string>)[pair.Name, pair.Value]);
        return ResultPage.Scroll(new TextTable(s_pairs, [.. rows]).ToHtml());
    }
}
