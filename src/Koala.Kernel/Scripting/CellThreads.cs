namespace Koala.Kernel.Scripting;

/// <summary>Runs a cell and what follows its awaits on threads that are known, so that an interrupt can wake those that wait.</summary>
/// <remarks>As many threads as there are continuations at once: with a single one, a cell that waits for its own task (<c>F().Result</c>) would never end.</remarks>
internal sealed class CellThreads : SynchronizationContext
{
    // Each thread, and whether it was interrupted.
    private readonly Dictionary<Thread, bool> _running = [];
    private int _posted;

    /// <summary>Whether code of the cell runs or is about to, outside the thread pool.</summary>
    public bool IsAnyRunning => Volatile.Read(ref _posted) > 0;

    /// <summary>Starts <paramref name="work"/>, whose continuations run here too.</summary>
    public Task<T> Start<T>(Func<Task<T>> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(_ => _ = Complete(), null);
        return done.Task;

        async Task Complete()
        {
            try
            {
                done.SetResult(await work());
            }
#pragma warning disable CA1031 // It goes to who waits for the task.
            catch (Exception e)
#pragma warning restore CA1031
            {
                done.SetException(e);
            }
        }
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        Interlocked.Increment(ref _posted);
        var context = ExecutionContext.Capture();
        CellWorkers.Run(() => Run(d, state, context));
    }

    public override void Send(SendOrPostCallback d, object? state) => d(state);

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Ends the waits of the cell's threads: each gets a <see cref="ThreadInterruptedException"/>.</summary>
    public void Interrupt()
    {
        lock (_running)
        {
            foreach (var thread in _running.Keys)
            {
                _running[thread] = true;
                thread.Interrupt();
            }
        }
    }

    private void Run(SendOrPostCallback work, object? state, ExecutionContext? context)
    {
        SetSynchronizationContext(this);
        lock (_running) _running[Thread.CurrentThread] = false;
        try
        {
            if (context is null) work(state);
            else ExecutionContext.Run(context, x => work(x), state);
        }
        catch (Exception e) when (e is ThreadInterruptedException or OperationCanceledException)
        {
            // An `async void` of the cell that was interrupted.
        }
        finally
        {
            End();
            Interlocked.Decrement(ref _posted);
            SetSynchronizationContext(null);
        }
    }

    // An interrupt that found nothing to wake waits for the thread's next wait, which may be another cell's.
    private void End()
    {
        while (true)
        {
            try
            {
                lock (_running)
                {
                    _running.Remove(Thread.CurrentThread, out var interrupted);
                    if (!interrupted) return;
                }
                Thread.Sleep(1);
                return;
            }
            catch (ThreadInterruptedException)
            {
                // The interrupt has arrived here, where it ends no cell. Once more round, in case the thread is not removed yet.
            }
        }
    }
}
