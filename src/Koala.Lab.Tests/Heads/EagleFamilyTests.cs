using Koala.Lab.Data;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>
/// A head has layers of its target's family, with biases and norms of queries and keys, but without its other switches. The drafter equals
/// the training pass.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class EagleFamilyTests
{
    [Theory]
    [InlineData("""{"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2"}""", false)]
    [InlineData("""{"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2"}""", true)]
    [InlineData("""{"architectures":["Qwen3ForCausalLM"],"model_type":"qwen3","head_dim":12}""", false)]
    [InlineData("""{"architectures":["Qwen3ForCausalLM"],"model_type":"qwen3","head_dim":12}""", true)]
    public void The_drafter_equals_the_training_pass_on_layers_of_any_family(string change, bool bias)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var folder = new TemporaryFolder();
        var config = ReferenceTests.Config(change);
        using var target = ReferenceTests.Write(folder, config, ReferenceTests.Weights(config));
        AssertEqual(target, bias);
    }

    [Theory]
    [InlineData("Gemma 2"), InlineData("Gemma 3"), InlineData("SmolLM3"), InlineData("Phi-3, longrope"),
        InlineData("Phi-4-mini, partly rotated"), InlineData("Mistral, window")]
    public void Heads_of_other_families_have_plain_layers(string name) =>
        FamilyTests.With(name, (target, _) => AssertEqual(target, bias: true));

    private static void AssertEqual(Target target, bool bias)
    {
        using var head = EagleFixtures.Random(target, new EagleOptions { Layers = 2, Bias = bias });

        int[] text = [.. Enumerable.Range(0, 20).Select(i => 3 + (i * i * 7 + i * 5) % (target.Config.VocabularySize - 3))];
        var row = new PackedRow(text, [.. Enumerable.Range(0, text.Length)], new int[text.Length], [.. text.Select(_ => true)]);
        using var cache = target.NewCache(1, text.Length);
        using var batch = new TrainingBatch(target, cache, [row]) { TrainingTimeTestSteps = 3 };
        var expected = EagleFixtures.TrainingOutputs(head, batch, target);

        using var drafter = (EagleDrafter)head.NewDrafter(target, 1, text.Length);
        var known = 0;
        foreach (var committed in (int[])[1, 4, 5, 14])
        {
            drafter.Extend(batch.Features.narrow(0, known, committed - known).unsqueeze(0), [text[known..(committed + 1)]]);
            known = committed;
            drafter.First();
            AssertNear(expected[0][known - 1], drafter.Outputs[0]);
            drafter.Next([[text[known + 1]]], [[0]]);
            AssertNear(expected[1][known - 1], drafter.Outputs[0]);
            drafter.Next([[text[known + 2]]], [[0]]);
            AssertNear(expected[2][known - 1], drafter.Outputs[0]);
        }
    }

    private static void AssertNear(Tensor expected, Tensor actual) =>
        Assert.InRange(Golden.Distance(expected, actual), 0, 1e-4 * Math.Max(1, expected.abs().max().item<float>()));
}
