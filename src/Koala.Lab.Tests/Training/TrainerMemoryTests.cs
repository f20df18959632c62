using Koala.Lab.Heads;
using Koala.Lab.Training;
using TorchSharp;

namespace Koala.Lab.Tests.Training;

public sealed class TrainerMemoryTests
{
    [Fact]
    public void The_number_of_live_tensors_is_constant_over_200_steps_with_an_adversary()
    {
        // The target and its weights as tensors are loaded before tensors are counted, because they stay for other tests.
        var target = ShippedModels.Nano;
        _ = target.LmHead;
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var before = live.ThreadTotalLiveCount;
        var counts = new List<long>();
        using (var folder = new TemporaryFolder())
        using (var head = DraftHead.Create(TinyModels.Head with { Layers = 2 }, target))
        using (var trainer = new Trainer(target, head, TinyModels.Data,
            TinyModels.WithAdversary with { Steps = 201, ValidateEvery = 40, SaveEvery = 50 }))
            trainer.Run(_ => counts.Add(live.ThreadTotalLiveCount), () => trainer.SaveState(folder.Path));
        Assert.Equal(201, counts.Count);
        // The first step creates the gradients, which stay.
        Assert.Equal(counts[1], counts[^1]);
        Assert.Single(counts.Skip(1).Distinct());
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }
}
