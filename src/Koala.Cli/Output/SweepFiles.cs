using Koala.Lab.Sweeps;
#if NOTEBOOKS
using Koala.Lab.Charts;
#endif

namespace Koala.Cli.Output;

/// <summary>The files with the results of a sweep, in its folder.</summary>
internal static class SweepFiles
{
    /// <summary>The names and texts of the files.</summary>
    public static IEnumerable<(string Name, string Text)> Create(Sweep sweep, SweepSummary summary)
    {
        yield return ("summary.md", summary + "\n");
        yield return ("summary.csv", summary.ToCsv());
        yield return ("summary.tex", summary.ToLatex());
        yield return ("summary.json", JsonOutput.Document(summary) + "\n");
#if NOTEBOOKS
        yield return ("figures.html", Page(sweep));
#endif
    }

#if NOTEBOOKS
    private static string Page(Sweep sweep) =>
        $$"""
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <title>{{Path.GetFileName(sweep.Folder)}}</title>
        <style>
        :root { color-scheme: light dark; }
        body { font-family: sans-serif; margin: 2em auto; max-width: 760px; }
        </style>
        {{Chart.AcceptanceLength(sweep).Html}}
        {{Chart.Speedup(sweep).Html}}
        </html>

        """;
#endif
}
