using Koala.Lab.Checkpoints;
using Koala.Lab.Data;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>The recorded random K=2 EAGLE head on koala-nano: outputs of three steps and losses to 1e-4 relative, from the training path and from the drafter.</summary>
public sealed class EagleGoldenTests
{
    [Fact]
    public void Outputs_of_all_training_time_test_steps_equal_the_recorded_ones()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Read();
        using var batch = Batch();
        var outputs = Eagles.Rehearsed(head, batch);
        for (var step = 0; step < 3; step++) AssertNear(Recorded(step), outputs[step].narrow(0, 0, Recorded(step).shape[0]));
    }

    [Fact]
    public void The_drafter_says_the_recorded_outputs_after_every_prefix()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Read();
        var ids = Ids();
        using var cache = Shipped.Nano.NewCache(1, ids.Length);
        var features = Shipped.Nano.Append(cache, ids);
        using var drafter = (EagleDrafter)head.NewDrafter(Shipped.Nano, 1, ids.Length + 8);
        // Prefixes grow by one to four tokens, as a round's accepted tokens do; between them the drafter is left with what it drafted.
        for (var (known, at) = (1, 0); known + 4 < ids.Length; known += 1 + known % 4)
        {
            drafter.CatchUp(features.narrow(0, at, known - at).unsqueeze(0), [ids[at..(known + 1)]]);
            at = known;
            drafter.First();
            AssertNear(Recorded(0)[known - 1], drafter.Outputs[0]);
            drafter.Next([[ids[known + 1]]], [[0]]);
            AssertNear(Recorded(1)[known - 1], drafter.Outputs[0]);
            drafter.Next([[ids[known + 2]]], [[0]]);
            AssertNear(Recorded(2)[known - 1], drafter.Outputs[0]);
        }
    }

    private static EagleHead Read()
    {
        using var file = SafetensorsFile.Open(Golden.At("heads-koala-nano", "eagle-k2.safetensors"));
        return EagleLayout.Read(file, new EagleOptions { Layers = 2 }, Shipped.Nano);
    }

    private static TrainingBatch Batch()
    {
        var ids = Ids();
        using var cache = Shipped.Nano.NewCache(1, ids.Length);
        return new TrainingBatch(Shipped.Nano, cache, [new PackedRow(ids, [.. Enumerable.Range(0, ids.Length)], new int[ids.Length], [.. ids.Select(_ => true)])]) { Steps = 3 };
    }

    private static Tensor Recorded(int step) => Golden.Tensors("heads-koala-nano", "expected.safetensors")[$"eagle.output.{step}"];

    private static int[] Ids() => [.. Golden.Tensors("heads-koala-nano", "expected.safetensors")["ids"].to(ScalarType.Int64).data<long>().Select(x => (int)x)];

    private static void AssertNear(Tensor expected, Tensor actual) =>
        Assert.InRange(Golden.Distance(expected, actual), 0, 1e-4 * expected.abs().max().item<float>());
}
