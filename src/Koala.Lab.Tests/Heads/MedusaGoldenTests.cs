using System.Text.Json;
using Koala.Lab.Data;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>The recorded random K=2 Medusa head on koala-nano: logits, losses and accuracies.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class MedusaGoldenTests
{
    private const int Width = 64, Vocabulary = 512;

    private static readonly MedusaOptions s_options = new() { Layers = 2, OwnLmHeads = true };

    [Fact]
    public void Features_and_logits_equal_the_recorded_ones()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Read();
        var expected = Golden.Tensors("heads-koala-nano", "expected.safetensors");
        using var cache = ShippedModels.Nano.NewCache(1, 64);
        var features = ShippedModels.Nano.Append(cache, Ids());
        Tolerance.AssertClose(expected["features"], features, Roundings(Width));

        var logits = head.Logits(expected["features"], ShippedModels.Nano);
        for (var h = 0; h < 4; h++)
        {
            var recorded = expected[$"medusa.logits.{h}"];
            // Two blocks and the LM head.
            Tolerance.AssertClose(recorded, logits[h].narrow(0, logits.shape[1] - recorded.shape[0], recorded.shape[0]),
                3 * Width);
        }
    }

    [Fact]
    public void Cross_entropy_and_accuracy_of_each_head_equal_the_recorded_ones()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Read();
        var ids = Ids();
        using var cache = ShippedModels.Nano.NewCache(1, ids.Length);
        using var batch = new TrainingBatch(ShippedModels.Nano, cache,
            [new PackedRow(ids, [.. Enumerable.Range(0, ids.Length)], new int[ids.Length], [.. ids.Select(_ => true)])]);
        var headOutputs = head.Predict(batch, ShippedModels.Nano);
        var loss = LossRegistry.Find("cross-entropy");

        using var document = JsonDocument.Parse(File.ReadAllText(Golden.At("heads-koala-nano", "expected.json")));
        var recorded = document.RootElement.GetProperty("medusa").GetProperty("heads").EnumerateArray().ToArray();
        Assert.Equal(recorded.Length, headOutputs.Count);
        for (var h = 0; h < recorded.Length; h++)
        {
            Assert.Equal(recorded[h].GetProperty("positions").GetInt64(), headOutputs[h].Logits.shape[0]);
            var crossEntropy = recorded[h].GetProperty("crossEntropy").GetDouble();
            using var terms = new DistillationTerms(headOutputs[h], batch);
            // The final norm, two blocks, the LM head, and the sums of softmax and mean.
            Tolerance.AssertClose(crossEntropy, loss.Compute(terms).item<float>(),
                Roundings(4 * Width + Vocabulary + ids.Length));
            var accuracy = (headOutputs[h].Logits.argmax(-1) == terms.Labels).to(ScalarType.Float32).mean().item<float>();
            Assert.Equal(recorded[h].GetProperty("accuracy").GetDouble(), accuracy, 6);
        }
    }

    // The roundings of the target's features, and of what follows them.
    private static long Roundings(long further) =>
        Tolerance.Roundings(ShippedModels.Nano.Config, ShippedModels.Nano.Config.Layers, 64, further);

    private static MedusaHead Read()
    {
        using var file = Golden.Open("heads-koala-nano", "medusa-k2.safetensors");
        return MedusaStateDict.Read(file, s_options, ShippedModels.Nano.Identity, ScalarType.Float32, CPU);
    }

    private static int[] Ids() =>
        [.. Golden.Tensors("heads-koala-nano", "expected.safetensors")["ids"].to(ScalarType.Int64)
            .data<long>()
            .Select(x => (int)x)];
}
