using System.Globalization;
using System.Text.Json;
using Koala.Lab;
using Koala.Lab.Sweeps;
using Spectre.Console;

namespace Koala.Cli.Output;

/// <summary>
/// Shows where the cells of a sweep stand while work runs, whoever works on them: a live table on a terminal, otherwise a line for each
/// cell that is finished or has failed.
/// </summary>
/// <param name="sweep">The sweep.</param>
/// <param name="streams">Standard error receives it.</param>
internal sealed class SweepProgressText(Sweep sweep, Streams streams)
{
    // So many cells fit on a screen beside the two lines about all of them.
    private const int MostRows = 20;
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly long _start = TimeProvider.System.GetTimestamp();
    private readonly HashSet<string> _told = [];
    // The live table takes Spectre's own locks in one order and a line above it in the other, so two threads may not do both at once.
    private readonly Lock _screen = new();
    private IAnsiConsole? _live;
    private double _doneAtStart = double.NaN;

    public void Run(bool quiet, Action work)
    {
        if (quiet)
        {
            work();
            return;
        }
        var console = streams.ConsoleOf(streams.Error);
        if (!console.Profile.Out.IsTerminal)
        {
            Poll(work, WriteLines);
            return;
        }
        _live = console;
        console.Live(new Text("")).AutoClear(true).Start(live => Poll(work, () =>
        {
            var table = Table();
            lock (_screen) live.UpdateTarget(table);
        }));
    }

    /// <summary>Writes a line, above the table if there is one.</summary>
    public void Write(string line)
    {
        if (_live is null)
        {
            streams.Error.WriteLine(line);
            return;
        }
        lock (_screen) _live.WriteLine(line);
    }

    // The work runs on this thread, and another one shows it.
    private static void Poll(Action work, Action show)
    {
        using var end = new ManualResetEventSlim();
        KoalaException? fault = null;
        var showing = new Thread(() =>
        {
            try
            {
                do show();
                while (!end.Wait(s_interval));
                show();
            }
            catch (KoalaException e)
            {
                fault = e;
            }
        });
        showing.Start();
        try
        {
            work();
        }
        finally
        {
            end.Set();
            showing.Join();
        }
        if (fault is not null) throw fault;
    }

    private void WriteLines()
    {
        var status = sweep.ReadStatus();
        var finished = status.Count(cell => cell.State == CellState.Finished);
        foreach (var cell in status.Where(cell => cell.State is CellState.Finished or CellState.Failed))
        {
            // What was finished before is no news.
            if (!_told.Add($"{cell.Cell.Name} {cell.State}") || double.IsNaN(_doneAtStart)) continue;
            var all = $"{finished} of {status.Count} cells finished{Left(status)}";
            streams.Error.WriteLine($"cell {cell.Cell.Name} {Words(cell.State)}, {all}");
        }
        if (double.IsNaN(_doneAtStart)) _doneAtStart = status.Sum(cell => cell.Done);
    }

    private Table Table()
    {
        var status = sweep.ReadStatus();
        if (double.IsNaN(_doneAtStart)) _doneAtStart = status.Sum(cell => cell.Done);
        var table = new Table().Border(TableBorder.None).AddColumns("cell", "state", "step", "evaluations");
        CellStatus[] shown = [.. status.OrderBy(cell => Order(cell.State)).Take(MostRows)];
        foreach (var cell in status.Where(shown.Contains))
        {
            table.AddRow(Markup.Escape(cell.Cell.Name), Words(cell.State), $"{cell.Step}/{cell.Cell.Request.Training.Steps}",
                $"{cell.Evaluated}/{cell.Cell.Evaluations.Count}");
        }
        var finished = status.Count(cell => cell.State == CellState.Finished);
        return table.Title($"{finished} of {status.Count} cells finished{Left(status)}");
    }

    // What is under way comes first, and what is finished last.
    private static int Order(CellState state) => state switch
    {
        CellState.Training or CellState.Evaluating => 0,
        CellState.Failed => 1,
        CellState.Interrupted or CellState.Trained => 2,
        CellState.Waiting => 3,
        _ => 4,
    };

    // A training and an evaluation count alike, so this is a rough figure until some cells are finished.
    private string Left(IReadOnlyList<CellStatus> status)
    {
        var done = status.Sum(cell => cell.Done);
        var left = status.Where(cell => cell.State != CellState.Failed).Sum(cell => 1 - cell.Done);
        if (done <= _doneAtStart || left <= 0) return "";
        var seconds = TimeProvider.System.GetElapsedTime(_start).TotalSeconds / (done - _doneAtStart) * left;
        return string.Create(CultureInfo.InvariantCulture, $", about {ProgressLine.Time(seconds)} left");
    }

    private static string Words(CellState state) => JsonNamingPolicy.CamelCase.ConvertName(state.ToString());
}
