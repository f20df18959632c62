using Koala.Kernel.Display;
using Koala.Kernel.Scripting;
using Microsoft.DotNet.Interactive.Formatting;

namespace Koala.Kernel;

/// <summary>
/// Runs cells: C# and the directives of .NET Interactive. One cell runs at a time; another thread calls
/// <see cref="Interrupt"/>.
/// </summary>
/// <remarks>
/// Nothing here waits for the thread pool, which belongs to the cells: the output of a cell that fills the pool must
/// still be sent, and the cell must still be stopped.
/// </remarks>
internal sealed class Engine : IDisposable
{
    // The time after which an interrupt that has not ended the cell prints a notice.
    private static readonly TimeSpan s_noticeDelay = TimeSpan.FromSeconds(2.5);

    private readonly CSharpSession _session = new();
    private readonly Directives _directives;
    private readonly Lock _lock = new();
    private RunningCell? _running;

    /// <param name="commands">What <c>#!koala</c> runs.</param>
    public Engine(ICellCommands commands) =>
        _directives = new Directives(this, _session, new CommandCells(commands, _session), new ValueCells(_session));

    public CSharpSession Session => _session;

    /// <summary>
    /// Redirects the console to the cells and registers the formatters. It is called once per process.
    /// </summary>
    public static void Install()
    {
        CellConsole.Install();
        Formatters.Register();
    }

    /// <summary>
    /// Loads and JIT-compiles what the first cell needs. It runs in the background while the client still connects.
    /// </summary>
    public void WarmUp()
    {
        _ = MimeBundle.From(MimeBundle.Format(1));
        _session.WarmUp();
    }

    /// <summary>Runs one cell until it ends or is interrupted.</summary>
    /// <param name="code">The text of the cell.</param>
    /// <param name="number">The execution count of the cell, by which errors name it.</param>
    /// <param name="language">The language of the cell.</param>
    /// <param name="output">The output of the cell, which also receives its value and its error.</param>
    /// <param name="read">A function that asks the front end for a line; null if the front end cannot ask.</param>
    /// <returns>The error of the cell; null if the cell succeeded.</returns>
    public CellError? Run(string code, int number, string language, CellOutput output, Func<string, bool, string?>? read = null)
    {
        using var running = new RunningCell();
        lock (_lock)
        {
            StopFlag.Clear();
            _running = running;
        }
        CellError? error;
        try
        {
            var context = new CellContext(output, read, running.Cancel.Token);
            var work = running.Threads.Start(() =>
            {
                context.Enter();
                return RunPartsAsync(code, number, language, output, running.Cancel.Token);
            });
            Task.WaitAny(work, running.Abandoned.Task);
            var succeeded = work.IsCompletedSuccessfully && work.Result is null;
            error = running.IsInterrupted && !succeeded ? Interrupted(work)
                : work.IsCompletedSuccessfully ? work.Result
                : _session.Errors.FromException(work.Exception!);
        }
        finally
        {
            lock (_lock) _running = null;
        }
        if (error is not null) output.Error(error);
        output.Flush();
        return error;
    }

    /// <summary>
    /// Stops the running cell. <see cref="StopFlag"/> ends its loops, an interrupt of the waiting threads ends its
    /// waits, and an await whose work does not run on the cell's threads is abandoned.
    /// </summary>
    public void Interrupt()
    {
        lock (_lock)
        {
            if (_running is not { } running || !running.BeginInterrupt()) return;
            StopFlag.Set();
            // This needs a separate thread, because the cell may have filled the thread pool.
            new Thread(() => Stop(running)) { IsBackground = true, Name = "interrupt" }.Start();
        }
    }

    /// <summary>Runs code as part of the current cell: the cell itself, or a file that it imports.</summary>
    internal async Task<CellError?> RunPartsAsync(
        string code, int number, string language, CellOutput output, CancellationToken cancel)
    {
        var parts = CellText.Split(code, language);
        for (var i = 0; i < parts.Count; i++)
        {
            cancel.ThrowIfCancellationRequested();
            CSharpOutcome outcome;
            try
            {
                if (i == 0) CellLanguage.Check(language);
                outcome = await _directives.RunAsync(parts[i], number, output, cancel);
            }
            catch (Exception e) when (Fault.Is(e))
            {
                outcome = new CSharpOutcome(false, null, CellError.OfFault(e));
            }
            if (outcome.Error is not null) return outcome.Error;
            // `display(x)` without a semicolon has shown x already; its value is only a handle for updates.
            if (!outcome.HasValue || outcome.Value is DisplayedValue) continue;
            var data = MimeBundle.From(MimeBundle.Format(outcome.Value));
            if (i == parts.Count - 1) output.Result(data, number);
            else output.Display(data, Guid.NewGuid().ToString("N"));
        }
        return null;
    }

    public void Dispose() => _session.Dispose();

    private static void Stop(RunningCell running)
    {
        // The call is not awaited, because a callback that the cell registered with the token may never end.
        _ = running.Cancel.CancelAsync();
        var start = TimeProvider.System.GetTimestamp();
        var idleChecks = 0;
        var noticeWritten = false;
        while (!running.IsEnded)
        {
            running.Threads.Interrupt();
            // After several checks without running code, the cell awaits work on other threads, which the kernel cannot
            // end.
            idleChecks = running.Threads.IsAnyRunning ? 0 : idleChecks + 1;
            if (idleChecks > 5) running.Abandoned.TrySetResult();
            if (!noticeWritten && TimeProvider.System.GetElapsedTime(start) > s_noticeDelay)
            {
                noticeWritten = true;
                CellContext.Current?.Output.Write("stderr",
                    "The cell is inside a call that cannot be interrupted: wait for it to end, or restart the kernel.\n");
            }
            Thread.Sleep(20);
        }
    }

    private static CellError Interrupted(Task<CellError?> work)
    {
        IReadOnlyList<string> traceback = work.IsCompletedSuccessfully ? work.Result!.Traceback : [];
        var frames = traceback.Where(line => line.StartsWith("   at cell", StringComparison.Ordinal));
        return new CellError("Interrupted", "the cell was interrupted", ["Interrupted: the cell was interrupted", .. frames]);
    }

    private sealed class RunningCell : IDisposable
    {
        private int _interrupted;

        public CellThreads Threads { get; } = new();

        public CancellationTokenSource Cancel { get; } = new();

        public TaskCompletionSource Abandoned { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool IsInterrupted => Volatile.Read(ref _interrupted) == 1;

        public volatile bool IsEnded;

        public bool BeginInterrupt() => Interlocked.Exchange(ref _interrupted, 1) == 0;

        public void Dispose() => IsEnded = true;
    }
}
