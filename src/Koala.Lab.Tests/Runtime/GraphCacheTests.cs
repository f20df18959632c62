using Koala.Lab.Runtime.Cuda;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Runtime;

public class GraphCacheTests
{
    [Fact]
    public void Without_a_gpu_the_work_runs_each_time()
    {
        using var graphs = new GraphCache(CPU);
        Check(graphs);
    }

    [Fact]
    public void On_a_gpu_a_replay_equals_the_work()
    {
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        using var graphs = new GraphCache(CUDA);
        Check(graphs);
    }

    // Two kinds of work alternate, on inputs that change from call to call.
    private static void Check(GraphCache graphs)
    {
        using var scope = NewDisposeScope();
        for (var time = 1; time <= 5; time++)
        {
            foreach (var limit in (int[])[2, 4])
            {
                var x = full(3, 4, (float)time);
                var sums = graphs.Run(new GraphKey("sum", 3, limit), [x, tensor((long)time)],
                    inputs => [inputs[0].narrow(1, 0, limit).sum(-1), inputs[1] * 2]);
                Assert.Equal(Enumerable.Repeat((float)time * limit, 3), sums[0].cpu().data<float>().ToArray());
                Assert.Equal(2L * time, sums[1].cpu().item<long>());
            }
        }
    }
}
