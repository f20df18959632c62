using Koala.Lab.Heads;
using Koala.Lab.Training;
using TorchSharp;

namespace Koala.Lab.Tests.Training;

public sealed class TrainerMemoryTests
{
    private static long LiveTensors => DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

    [Fact]
    public void The_number_of_live_tensors_is_constant_over_200_steps_with_an_adversary()
    {
        // The target, and the tensors of it that the first step creates for libtorch, stay for other tests.
        CountsOf(steps: 1);
        var before = LiveTensors;
        var counts = CountsOf(steps: 201);
        Assert.Equal(201, counts.Count);
        // The first step creates the gradients, which stay.
        Assert.Equal(counts[1], counts[^1]);
        Assert.Single(counts.Skip(1).Distinct());
        Assert.Equal(before, LiveTensors);
    }

    // The number of live tensors after each step of a training.
    private static List<long> CountsOf(int steps)
    {
        var counts = new List<long>();
        using var folder = new TemporaryFolder();
        using var head = DraftHead.Create(TinyModels.Head with { Layers = 2 }, ShippedModels.Nano);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data,
            TinyModels.WithAdversary with { Steps = steps, ValidateEvery = 40, SaveEvery = 50 });
        trainer.Run(_ => counts.Add(LiveTensors), () => trainer.SaveState(folder.Path));
        return counts;
    }
}
