namespace Koala.Kernel.Scripting;

/// <summary>
/// Runs a cell, and the code after its awaits, on threads that it keeps a list of. An interrupt can therefore wake the
/// threads that wait.
/// </summary>
/// <remarks>
/// Each continuation that is due gets a thread. With a single thread, a cell that waits for its own task
/// (<c>F().Result</c>) would never end.
/// </remarks>
internal sealed class CellThreads : SynchronizationContext
{
    // The threads that run code of the cell, each with whether it was interrupted.
    private readonly Dictionary<Thread, bool> _running = [];
    private int _posted;

    /// <summary>Whether code of the cell runs, or is about to run, outside the thread pool.</summary>
    public bool IsAnyRunning => Volatile.Read(ref _posted) > 0;

    /// <summary>Starts <paramref name="work"/>. Its continuations run on threads of this object too.</summary>
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
#pragma warning disable CA1031 // The exception goes to the code that waits for the task.
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

    /// <summary>
    /// Ends the waits of the cell's threads, with a <see cref="ThreadInterruptedException"/> in each of them.
    /// </summary>
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
            // An `async void` method of the cell was interrupted. No task carries its exception, so it ends here.
        }
        finally
        {
            End();
            Interlocked.Decrement(ref _posted);
            SetSynchronizationContext(null);
        }
    }

    // An interrupt of a thread that does not wait stays pending, and would end the thread's next wait, perhaps in
    // another cell. So a thread that was interrupted receives a pending interrupt here, in a short sleep.
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
                // The pending interrupt has arrived. It may have arrived at the lock, before the thread was removed
                // from the list, so the loop tries again.
            }
        }
    }
}
