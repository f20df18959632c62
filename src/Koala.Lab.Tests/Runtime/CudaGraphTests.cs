using Koala.Lab.Runtime.Cuda;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Runtime;

public class CudaGraphTests
{
    [Fact]
    public void A_cpu_has_no_graphs() => Assert.False(CudaGraph.Supported(CPU));

    [Fact]
    public void A_replay_repeats_the_captured_work_on_the_current_values()
    {
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        Assert.True(CudaGraph.Supported(CUDA));
        using var scope = NewDisposeScope();
        var (x, w, sum) = (zeros(4, 8, device: CUDA), eye(8, device: CUDA), zeros(1, device: CUDA));
        using var graph = CudaGraph.Capture(() =>
        {
            using var inner = NewDisposeScope();
            sum.add_(x.mm(w).sum());
        });
        sum.zero_();
        for (var i = 1; i <= 3; i++)
        {
            x.fill_(i);
            graph.Replay();
        }
        Assert.Equal(32f * (1 + 2 + 3), sum.cpu().item<float>());
    }
}
