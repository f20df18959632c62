using Koala.Lab.Evaluation;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Tests.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Evaluation;

/// <summary>The time that reading all weights takes, beside the time of a step.</summary>
public sealed class MemoryFloorTests
{
    [Fact]
    public void The_floor_is_bytes_divided_by_bandwidth_and_its_share_that_of_the_step()
    {
        var floor = MemoryFloor.Of(bandwidth: 50, bytes: 20_000_000, stepMs: 0.8);
        Assert.Equal((0.4, 0.5), (floor.StepMs, floor.Share));
        Assert.Equal("0.40 ms to read 20 MB of weights at 50 GB/s, 50 % of the baseline's step", floor.ToString());
    }

    /// <summary>A step reads a tied embedding whole, as the LM head, and one row of another.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_embedding_counts_if_it_is_the_lm_head(bool tied)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var config = ReferenceTests.Config($$"""{"tie_word_embeddings":{{(tied ? "true" : "false")}}}""");
        using var target = ReferenceTests.Write(folder, config, ReferenceTests.Weights(config));
        var embedding = (long)target.Config.VocabularySize * target.Config.HiddenSize * sizeof(float);
        Assert.Equal(target.WeightBytes - (tied ? 0 : embedding), target.Model.BytesPerStep);
    }

    [Fact]
    public void The_memory_is_measured_on_the_device_of_the_target()
    {
        Assert.InRange(MemoryBandwidth.Read(CPU), 0.1, 10_000);
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        Assert.InRange(MemoryBandwidth.Read(CUDA), 10, 100_000);
    }
}
