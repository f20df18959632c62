using Koala.Lab.Evaluation;
using Koala.Lab.Runs;

namespace Koala.Lab.Results;

/// <summary>Finds the runs below a folder, and the newest report of a run.</summary>
internal static class RunFinder
{
    // A link could lead back to a folder above it.
    private static readonly EnumerationOptions s_folders = new()
    {
        IgnoreInaccessible = true,
        AttributesToSkip = FileAttributes.ReparsePoint,
    };

    /// <summary>The folders of the runs at and below a folder, by name. A run is searched for its controls only.</summary>
    /// <exception cref="KoalaException">There is no such folder.</exception>
    public static IEnumerable<string> Find(string folder) => Directory.Exists(folder)
        ? Below(folder)
        : throw new KoalaException(folder, "is not a folder", "name a folder that contains runs");

    /// <summary>The newest report of a run by the time of its measurement; null if there is none.</summary>
    /// <param name="run">The run.</param>
    /// <param name="damaged">This receives what is wrong with a report that cannot be read.</param>
    public static EvaluationReport? NewestReport(RunFolder run, Action<KoalaException> damaged)
    {
        var reports = new List<EvaluationReport>();
        foreach (var file in ReportFiles(run))
        {
            try
            {
                reports.Add(Evaluation.ReportFiles.Load(file));
            }
            catch (KoalaException e)
            {
                damaged(e);
            }
        }
        return reports.MaxBy(report => report.Provenance?.Measured ?? DateTimeOffset.MinValue);
    }

    private static IEnumerable<string> ReportFiles(RunFolder run) => Directory.Exists(run.ResultsFolder)
        ? Directory.EnumerateFiles(run.ResultsFolder, "*.json", s_folders).Order(StringComparer.Ordinal)
        : [];

    private static IEnumerable<string> Below(string folder)
    {
        var isRun = RunFolder.IsRun(folder);
        if (isRun) yield return folder;
        IEnumerable<string> below = isRun
            ? RunFolder.Open(folder).ControlFolders
            : Directory.EnumerateDirectories(folder, "*", s_folders).Order(StringComparer.Ordinal);
        foreach (var path in below.SelectMany(Below)) yield return path;
    }
}
