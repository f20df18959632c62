using System.CommandLine;
using Koala.Cli.Options;
using Koala.Lab;
using Koala.Lab.Charts.Pages;
using Koala.Lab.Evaluation;
using Koala.Lab.Results;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;

namespace Koala.Cli.Commands;

/// <summary><c>koala report</c>: writes a run, a report, or the runs of a folder as one page.</summary>
internal static class ReportCommand
{
    public static Command Create(Streams streams)
    {
        var path = SharedOptions.PathArgument("path",
            "The folder of a run, a folder that contains runs, or a report of koala evaluate --out.");
        var output = SharedOptions.Text("--out", "FILE", "Write the page to this file. Default: report.html in the folder, or NAME.html "
            + "beside the report. A page that is there is replaced.");
        var command = new Command("report",
            "Write a run, a report, or the runs of a folder as one page with charts, which needs no network.") { path, output };
        command.SetAction(result =>
        {
            var file = result.GetValue(output) ?? StandardFile(result.GetValue(path)!);
            AtomicFile.WriteText(file, PageOf(streams, result.GetValue(path)!).ToHtml());
            streams.Cell?.SetValue(file, isPrinted: true);
            streams.Output.WriteLine(file);
            return ExitCodes.Done;
        });
        return command;
    }

    private static string StandardFile(string path) =>
        Directory.Exists(path) ? Path.Combine(path, "report.html") : Path.ChangeExtension(path, ".html");

    private static Page PageOf(Streams streams, string path)
    {
        if (!Directory.Exists(path)) return ResultPage.OfReport(ReportFiles.Load(path));
        var run = RunFolder.IsRun(path) ? RunRow.Read(RunFolder.Open(path)) : null;
        var runs = RunTable.Read(path);
        foreach (var damaged in runs.Damaged) streams.Error.WriteLine($"left out: {damaged.Name}: {damaged.Fault}");
        if (run is not null) return ResultPage.OfRun(run, runs);
        if (runs.Rows.Count == 0)
            throw new KoalaException(path, "has no runs that can be read", "name a run, a folder that contains runs, or a report");
        return ResultPage.OfRuns(runs, Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))));
    }
}
