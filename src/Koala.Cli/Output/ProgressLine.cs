using Spectre.Console;

namespace Koala.Cli.Output;

/// <summary>Reports the progress of long work.</summary>
/// <param name="done">The number of parts that are done.</param>
/// <param name="total">The number of all parts.</param>
/// <param name="text">The progress in words.</param>
/// <param name="milestone">Whether the report gets a line of its own where there is no terminal.</param>
internal delegate void Report(int done, int total, string text, bool milestone);

/// <summary>
/// Shows <see cref="Report"/>s while work runs: one live line on a terminal and in a notebook, otherwise one line per milestone on
/// standard error; nothing if quiet.
/// </summary>
internal static class ProgressLine
{
    // Each change is a message to the front end.
    private static readonly TimeSpan s_cellInterval = TimeSpan.FromMilliseconds(200);

    public static void Run(Streams streams, bool quiet, Action<Report> work)
    {
        if (quiet)
        {
            work((_, _, _, _) => { });
            return;
        }
        if (streams.Cell is { } cell)
        {
            RunInCell(cell, work);
            return;
        }
        var console = streams.ConsoleOf(streams.Error);
        if (console.Profile.Out.IsTerminal) RunLive(console, work);
        else work((_, _, text, milestone) =>
        {
            if (milestone) streams.Error.WriteLine(text);
        });
    }

    private static void RunInCell(NotebookCell cell, Action<Report> work)
    {
        var shown = 0L;
        try
        {
            work((done, total, text, _) =>
            {
                if (shown != 0 && done < total && TimeProvider.System.GetElapsedTime(shown) < s_cellInterval) return;
                shown = TimeProvider.System.GetTimestamp();
                cell.ShowProgress(text);
            });
        }
        finally
        {
            cell.ShowProgress(null);
        }
    }

    private static void RunLive(IAnsiConsole console, Action<Report> work) => console.Progress()
        .AutoClear(true)
        .Columns(new SpinnerColumn(), new TaskDescriptionColumn { Alignment = Justify.Left })
        .Start(context =>
        {
            var task = context.AddTask("starting");
            work((done, total, text, _) =>
            {
                task.MaxValue = total;
                task.Value = done;
                task.Description = Markup.Escape(text);
            });
        });

    /// <summary>A number of seconds as m:ss or h:mm:ss.</summary>
    public static string Time(double seconds)
    {
        var time = TimeSpan.FromSeconds(Math.Ceiling(seconds));
        return time.TotalHours >= 1 ? $"{(int)time.TotalHours}:{time:mm\\:ss}" : $"{(int)time.TotalMinutes}:{time:ss}";
    }
}
