using Koala.Lab.Runtime.Native;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Runtime;

public sealed class TorchScriptTests
{
    [Fact]
    public void Numbers_reach_the_function_while_the_garbage_collector_runs()
    {
        using var unit = jit.compile("""
            def total(x, a: float, b: float, c: float, d: float, e: float, f: float, g: float, h: float):
                return x + (a + b + c + d + e + f + g + h)

            """);
        using var x = zeros(1);
        var done = false;
        var collector = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            // There are so many calls that some fail for certain if numbers are not kept.
            for (var call = 0; call < 20_000; call++)
            {
                using var total = (Tensor)unit.Call("total", x, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0);
                Assert.Equal(36, total.item<float>());
            }
        }
        finally
        {
            Volatile.Write(ref done, true);
            collector.Join();
        }
    }
}
