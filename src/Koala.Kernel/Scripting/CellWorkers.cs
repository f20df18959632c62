using System.Collections.Concurrent;

namespace Koala.Kernel.Scripting;

/// <summary>The threads on which cells run; kept for a moment, so that a stream of continuations does not start one each.</summary>
internal static class CellWorkers
{
    private const int IdleMilliseconds = 1000;

    private static readonly BlockingCollection<Action> s_work = [];

    // Threads that wait for work and that no work has been promised to.
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
                    // Work was promised to this thread as its patience ended.
                    Interlocked.Increment(ref s_idle);
                    continue;
                }
                next();
                Interlocked.Increment(ref s_idle);
            }
            catch (ThreadInterruptedException)
            {
                // Meant for work that had ended already.
            }
        }
    }
}
