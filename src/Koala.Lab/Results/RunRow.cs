using Koala.Lab.Evaluation;
using Koala.Lab.Runs;

namespace Koala.Lab.Results;

/// <summary>A run with its newest report, and its fields by name.</summary>
/// <param name="Name">The path of the run below the folder that was searched.</param>
/// <param name="Folder">The run's folder.</param>
/// <param name="Record">The record.</param>
/// <param name="Report">The newest report in its folder <c>results</c>; null if there is none that can be read.</param>
/// <param name="Fields">
/// The fields: the columns of the table, then those of run.json, <c>metrics</c> (the last value of each) and <c>report</c> by their
/// paths. A value is a text, a number (double), true, false or null.
/// </param>
public sealed record RunRow(
    string Name, RunFolder Folder, RunRecord Record, EvaluationReport? Report, IReadOnlyDictionary<string, object?> Fields)
{
    /// <summary>Reads a run.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="name">See <see cref="Name"/>; null means the name of the folder.</param>
    /// <param name="damaged">This receives what is wrong with a report that cannot be read; null means nobody.</param>
    /// <exception cref="KoalaException">The record or the metrics cannot be read.</exception>
    public static RunRow Read(RunFolder folder, string? name = null, Action<KoalaException>? damaged = null)
    {
        ArgumentNullException.ThrowIfNull(folder);
        name ??= Path.GetFileName(folder.Path);
        var record = folder.ReadRecord();
        var metrics = MetricsLog.Read(folder.MetricsFile);
        var report = RunFinder.NewestReport(folder, damaged ?? (_ => { }));
        return new RunRow(name, folder, record, report, RunFields.Of(name, record, metrics, report));
    }

    /// <summary>Returns the name.</summary>
    public override string ToString() => Name;
}

/// <summary>A run, or a report of a run, that cannot be read.</summary>
/// <param name="Name">The path of the run below the folder that was searched.</param>
/// <param name="Fault">What is wrong, in one line.</param>
public sealed record DamagedRun(string Name, string Fault);
