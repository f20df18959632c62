using Spectre.Console;

namespace Koala.Cli.Output;

/// <summary>Where long work stands: one live line on a terminal, else a line at each milestone; nothing when quiet.</summary>
/// <param name="done">Parts done.</param>
/// <param name="total">Parts in all.</param>
/// <param name="text">What to say about it.</param>
/// <param name="milestone">Worth a line of its own.</param>
internal delegate void Report(int done, int total, string text, bool milestone);

/// <summary>Shows <see cref="Report"/>s on standard error while work runs.</summary>
internal static class ProgressLine
{
    public static void Run(Streams streams, bool quiet, Action<Report> work)
    {
        if (quiet) work((_, _, _, _) => { });
        else if (AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(streams.Error) }) is { Profile.Out.IsTerminal: true } console) RunLive(console, work);
        else work((_, _, text, milestone) =>
        {
            if (milestone) streams.Error.WriteLine(text);
        });
    }

    private static void RunLive(IAnsiConsole console, Action<Report> work) => console.Progress()
        .AutoClear(true)
        .Columns(new SpinnerColumn(), new TaskDescriptionColumn { Alignment = Justify.Left })
        .Start(context =>
        {
            var task = context.AddTask("starting");
            work((done, total, text, _) => (task.MaxValue, task.Value, task.Description) = (total, done, Markup.Escape(text)));
        });

    /// <summary>Seconds as m:ss or h:mm:ss.</summary>
    public static string Time(double seconds)
    {
        var time = TimeSpan.FromSeconds(Math.Ceiling(seconds));
        return time.TotalHours >= 1 ? $"{(int)time.TotalHours}:{time:mm\\:ss}" : $"{(int)time.TotalMinutes}:{time:ss}";
    }
}
