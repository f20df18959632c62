using Koala.Kernel.Display;
using Koala.Kernel.Scripting;

namespace Koala.Kernel;

/// <summary>Runs cells: C# and the directives of .NET Interactive. One cell at a time; <see cref="Interrupt"/> comes from another thread.</summary>
/// <remarks>Nothing here waits for the thread pool, which belongs to the cells: one that fills it must still be heard and stopped.</remarks>
internal sealed class Engine : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2.5);

    private readonly CSharpSession _session = new();
    private readonly Directives _directives;
    private readonly Lock _stopping = new();
    private Running? _running;

    public Engine() => _directives = new Directives(this, _session);

    public CSharpSession Session => _session;

    /// <summary>Takes over the console and registers the formatters; once a process.</summary>
    public static void Install()
    {
        CellConsole.Install();
        Formatters.Register();
    }

    /// <summary>Loads and jits what the first cell needs; in the background, while the client still connects.</summary>
    public void Warm()
    {
        _ = MimeBundle.From(MimeBundle.Format(1));
        _session.Warm();
    }

    /// <summary>Runs one cell to its end or its interruption.</summary>
    /// <param name="code">The cell's text.</param>
    /// <param name="number">Its execution count, by which errors name it.</param>
    /// <param name="output">Where what it says goes, the value and the error included.</param>
    /// <param name="read">Asks the front end for a line; null: it cannot ask.</param>
    /// <returns>The error; null: the cell went through.</returns>
    public CellError? Run(string code, int number, CellOutput output, Func<string, bool, string?>? read = null)
    {
        using var running = new Running();
        lock (_stopping)
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
                return RunPartsAsync(code, number, output, running.Cancel.Token);
            });
            Task.WaitAny(work, running.Abandoned.Task);
            error = running.IsInterrupted && (!work.IsCompletedSuccessfully || work.Result is not null) ? Interrupted(work)
                : work.IsCompletedSuccessfully ? work.Result
                : _session.Errors.Of(work.Exception!);
        }
        finally
        {
            lock (_stopping) _running = null;
        }
        if (error is not null) output.Error(error);
        output.Flush();
        return error;
    }

    /// <summary>Stops the running cell: its loops by <see cref="StopFlag"/>, its waits by an interrupt of their threads, an await that nothing works on by leaving it.</summary>
    public void Interrupt()
    {
        lock (_stopping)
        {
            if (_running is not { } running || !running.BeginInterrupt()) return;
            StopFlag.Set();
            // A thread of its own: the cell may have filled the thread pool.
            new Thread(() => Stop(running)) { IsBackground = true, Name = "interrupt" }.Start();
        }
    }

    /// <summary>Runs further code as part of the current cell, as imports do.</summary>
    internal async Task<CellError?> RunPartsAsync(string code, int number, CellOutput output, CancellationToken cancel)
    {
        var parts = CellText.Split(code);
        for (var i = 0; i < parts.Count; i++)
        {
            cancel.ThrowIfCancellationRequested();
            CSharpOutcome outcome;
            try
            {
                outcome = await _directives.RunAsync(parts[i], number, output, cancel);
            }
            catch (Exception e) when (Fault.Is(e))
            {
                outcome = new CSharpOutcome(false, null, new CellError(e.GetType().Name, e.Message, [e.Message]));
            }
            if (outcome.Error is not null) return outcome.Error;
            if (!outcome.HasValue) continue;
            var data = MimeBundle.From(MimeBundle.Format(outcome.Value));
            if (i == parts.Count - 1) output.Result(data, number);
            else output.Display(data, Guid.NewGuid().ToString("N"));
        }
        return null;
    }

    public void Dispose() => _session.Dispose();

    private static void Stop(Running running)
    {
        // Not awaited: what the cell registered with the token may itself not end.
        _ = running.Cancel.CancelAsync();
        var begun = TimeProvider.System.GetTimestamp();
        var (quiet, said) = (0, false);
        while (!running.IsEnded)
        {
            running.Threads.Interrupt();
            // Nothing of the cell runs here, and what it waits for is none of ours to end.
            quiet = running.Threads.IsAnyRunning ? 0 : quiet + 1;
            if (quiet > 5) running.Abandoned.TrySetResult();
            if (!said && TimeProvider.System.GetElapsedTime(begun) > s_patience)
            {
                said = true;
                CellContext.Current?.Output.Write("stderr", "The cell is inside a call that cannot be interrupted: wait for it to end, or restart the kernel.\n");
            }
            Thread.Sleep(20);
        }
    }

    private static CellError Interrupted(Task<CellError?> work)
    {
        var where = work.IsCompletedSuccessfully ? work.Result!.Traceback.Where(line => line.StartsWith("   at cell", StringComparison.Ordinal)) : [];
        return new CellError("Interrupted", "the cell was interrupted", ["Interrupted: the cell was interrupted", .. where]);
    }

    private sealed class Running : IDisposable
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
