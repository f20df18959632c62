using System.Collections.Concurrent;

namespace Koala.Kernel.Scripting;

/// <summary>
/// The threads on which cells run. An idle thread is kept for a moment, so that not every continuation of a series
/// starts a new thread.
/// </summary>
internal static class CellWorkers
{
    private const int IdleMilliseconds = 1000;

    private static readonly BlockingCollection<Action> s_work = [];

    // The number of threads that wait for work, less the number of work items that are queued for them.
    private static int s_idle;

    public static void Run(Action work)
    {
        s_work.Add(work);
        if (Interlocked.Decrement(ref s_idle) >= 0) return;
        Interlocked.Increment(ref s_idle);
        new Thread(Serve) { IsBackground = true, Name = "cell" }.Start();
    }

    private static void Serve()
    {
        while (true)
        {
            try
            {
                if (!s_work.TryTake(out var next, IdleMilliseconds))
                {
                    if (Interlocked.Decrement(ref s_idle) >= 0) return;
                    // Work was queued for this thread at the moment when its wait ended.
                    Interlocked.Increment(ref s_idle);
                    continue;
                }
                next();
                Interlocked.Increment(ref s_idle);
            }
            catch (ThreadInterruptedException)
            {
                // The interrupt was meant for work that has already ended.
            }
        }
    }
}
