using System.Collections.Concurrent;

namespace Koala.Kernel.Display;

/// <summary>
/// Sends collected text a moment after its first character. It does so on a separate thread, because cells may fill the
/// thread pool.
/// </summary>
internal static class OutputClock
{
    private const int CollectMilliseconds = 30;

    private static readonly BlockingCollection<CellOutput> s_due = [];

    static OutputClock() => new Thread(Serve) { IsBackground = true, Name = "output" }.Start();

    public static void FlushSoon(CellOutput output) => s_due.Add(output);

    private static void Serve()
    {
        foreach (var output in s_due.GetConsumingEnumerable())
        {
            Thread.Sleep(CollectMilliseconds);
            output.Flush();
        }
    }
}
