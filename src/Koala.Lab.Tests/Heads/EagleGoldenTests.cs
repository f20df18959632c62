using System.Text.Json;
using Koala.Lab.Data;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>
/// The recorded random K=2 EAGLE head on koala-nano: the outputs of three steps and the losses, from training and from
/// the drafter.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class EagleGoldenTests
{
    private const int Width = 64, Vocabulary = 512, Layers = 2, Steps = 3;

    // The target's layers and its final norm, then in each step the product of token and feature and the head's layers.
    private static readonly long s_roundings =
        Tolerance.Roundings(ShippedModels.Nano.Config, ShippedModels.Nano.Config.Layers, 64, Width)
        + Steps * Tolerance.Roundings(ShippedModels.Nano.Config, Layers, 64, 2 * Width);

    [Fact]
    public void Outputs_of_all_training_time_test_steps_equal_the_recorded_ones()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Read();
        using var batch = Batch();
        var outputs = EagleFixtures.TrainingOutputs(head, batch);
        for (var step = 0; step < 3; step++) AssertNear(Recorded(step), outputs[step].narrow(0, 0, Recorded(step).shape[0]));
    }

    [Fact]
    public void The_drafter_gives_the_recorded_outputs_after_every_prefix()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Read();
        var ids = Ids();
        using var cache = ShippedModels.Nano.NewCache(1, ids.Length);
        var features = ShippedModels.Nano.Append(cache, ids);
        using var drafter = (EagleDrafter)head.NewDrafter(ShippedModels.Nano, 1, ids.Length + 8);
        // Prefixes grow by one to four tokens, like the accepted tokens of rounds; between them the drafter keeps its
        // drafted rows.
        for (var (known, at) = (1, 0); known + 4 < ids.Length; known += 1 + known % 4)
        {
            drafter.Extend(features.narrow(0, at, known - at).unsqueeze(0), [ids[at..(known + 1)]]);
            at = known;
            drafter.First();
            AssertNear(Recorded(0)[known - 1], drafter.Outputs[0]);
            drafter.Next([[ids[known + 1]]], [[0]]);
            AssertNear(Recorded(1)[known - 1], drafter.Outputs[0]);
            drafter.Next([[ids[known + 2]]], [[0]]);
            AssertNear(Recorded(2)[known - 1], drafter.Outputs[0]);
        }
    }

    [Fact]
    public void Losses_of_all_steps_equal_the_recorded_ones()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Read();
        using var batch = Batch();
        var outputs = EagleFixtures.TrainingOutputs(head, batch);
        using var document = JsonDocument.Parse(File.ReadAllText(Golden.At("heads-koala-nano", "expected.json")));
        var steps = document.RootElement.GetProperty("eagle").GetProperty("trainingTimeTestSteps").EnumerateArray().ToArray();
        Assert.Equal(3, steps.Length);
        foreach (var (recorded, step) in steps.Select((recorded, step) => (recorded, step)))
        {
            // All positions count, not only those of an answer.
            var positions = arange(1 + step, outputs[step].shape[0], ScalarType.Int64);
            Assert.Equal(recorded.GetProperty("positions").GetInt64(), positions.shape[0]);
            var features = outputs[step].narrow(0, 0, positions.shape[0]);
            using var terms = new DistillationTerms(new HeadOutput(step, ShippedModels.Nano.Logits(features),
                positions) { Features = features },
                batch);
            // The LM head, the softmax and the sum over the vocabulary follow.
            var roundings = s_roundings + Width + 2 * Vocabulary;
            void Near(string name, double value) =>
                Tolerance.AssertClose(recorded.GetProperty(name).GetDouble(), value, roundings);
            double Loss(string name) => LossRegistry.Find(name).Compute(terms).item<float>();
            Near("smoothL1", Loss("smooth-l1"));
            Near("softCrossEntropy", Loss("soft-cross-entropy"));
            Near("kl", Loss("kl"));
            Near("jensenShannon", Loss("jensen-shannon"));
            Near("expectedAcceptance", 1 - Loss("total-variation"));
            Near("expectedAcceptance", terms.AcceptanceProbability.mean().item<float>());
        }
    }

    private static EagleHead Read()
    {
        using var file = Golden.Open("heads-koala-nano", "eagle-k2.safetensors");
        return EagleStateDict.Read(file, new EagleOptions { Layers = 2 }, ShippedModels.Nano);
    }

    private static TrainingBatch Batch()
    {
        var ids = Ids();
        using var cache = ShippedModels.Nano.NewCache(1, ids.Length);
        return new TrainingBatch(ShippedModels.Nano, cache,
            [new PackedRow(ids, [.. Enumerable.Range(0, ids.Length)], new int[ids.Length],
                [.. ids.Select(_ => true)])]) { TrainingTimeTestSteps = 3 };
    }

    private static Tensor Recorded(int step) =>
        Golden.Tensors("heads-koala-nano", "expected.safetensors")[$"eagle.output.{step}"];

    private static int[] Ids() =>
        [.. Golden.Tensors("heads-koala-nano", "expected.safetensors")["ids"].to(ScalarType.Int64)
            .data<long>()
            .Select(x => (int)x)];

    private static void AssertNear(Tensor expected, Tensor actual) =>
        Tolerance.AssertClose(expected, actual, s_roundings);
}
