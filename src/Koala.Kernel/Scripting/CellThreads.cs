using System.Collections.Concurrent;

namespace Koala.Kernel.Scripting;

/// <summary>Runs a cell and what follows its awaits on threads that are known, so that an interrupt can wake those that wait.</summary>
/// <remarks>As many threads as there are continuations at once: with a single one, a cell that waits for its own task (<c>F().Result</c>) would never end.</remarks>
internal sealed class CellThreads : SynchronizationContext
{
    private const int IdleMilliseconds = 1000;

    private readonly ConcurrentDictionary<Thread, bool> _running = [];
    private readonly BlockingCollection<(SendOrPostCallback Work, object? State, ExecutionContext? Context)> _work = [];
    private int _posted;

    // Threads that wait for work and that no work has been promised to.
    private int _idle;

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
                done.SetResult(await work().ConfigureAwait(false));
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
        _work.Add((d, state, ExecutionContext.Capture()));
        if (Interlocked.Decrement(ref _idle) >= 0) return;
        Interlocked.Increment(ref _idle);
        new Thread(Serve) { IsBackground = true, Name = "cell" }.Start();
    }

    public override void Send(SendOrPostCallback d, object? state) => d(state);

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Ends the waits of the cell's threads: each gets a <see cref="ThreadInterruptedException"/>.</summary>
    public void Interrupt()
    {
        foreach (var thread in _running.Keys) thread.Interrupt();
    }

    private void Serve()
    {
        while (true)
        {
            try
            {
                if (!_work.TryTake(out var next, IdleMilliseconds))
                {
                    if (Interlocked.Decrement(ref _idle) >= 0) return;
                    // Work was promised to this thread as its patience ended.
                    Interlocked.Increment(ref _idle);
                    continue;
                }
                Run(next.Work, next.State, next.Context);
                Interlocked.Increment(ref _idle);
            }
            catch (ThreadInterruptedException)
            {
                // Meant for work that had ended already.
            }
        }
    }

    private void Run(SendOrPostCallback work, object? state, ExecutionContext? context)
    {
        SetSynchronizationContext(this);
        _running[Thread.CurrentThread] = true;
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
            _running.TryRemove(Thread.CurrentThread, out _);
            Interlocked.Decrement(ref _posted);
        }
    }
}
