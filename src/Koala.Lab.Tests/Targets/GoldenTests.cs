using Koala.Lab.Checkpoints;
using Koala.Lab.Decoding;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class GoldenTests
{
    public static TheoryData<string> Names => ["koala-nano", "koala-mini"];

    [Theory]
    [MemberData(nameof(Names))]
    public void Greedy_tokens_equal_the_recorded_ones(string name)
    {
        using var decoder = new SpeculativeDecoder(ShippedModels.Of(name));
        foreach (var prompt in Golden.Prompts(name))
        {
            var answer = decoder.Generate(prompt.Ids, new GenerationOptions { MaxTokens = 64 });
            Assert.Equal(prompt.Greedy, answer.Tokens);
            Assert.All(answer.Rounds, r => Assert.Equal((0, 0), (r.Drafted, r.Accepted)));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Hidden_states_of_every_layer_and_logits_equal_the_recorded_ones(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var target = ShippedModels.Of(name);
        var expected = Golden.Tensors($"{name}.safetensors");
        var states = target.States(Golden.Prompts(name)[0].Ids);

        Assert.Equal(target.Config.Layers + 1, states.Count);
        for (var i = 0; i < states.Count; i++)
            Tolerance.AssertClose(expected[$"hidden.{i}"], states[i], Roundings(target.Config, i, states[i].shape[0]));
        var logits = target.Logits(states[^1]);
        // The smallest gap between a best and a second logit of the recorded answers is twice this.
        Assert.InRange(Golden.Distance(expected["logits"], logits), 0, 1e-3);
        var roundings = Roundings(target.Config, target.Config.Layers, logits.shape[0]) + target.Config.HiddenSize;
        Tolerance.AssertClose(expected["logits"], logits, roundings);
    }

    [Fact]
    public void A_step_at_a_time_gives_the_states_of_the_whole_prompt()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var ids = Golden.Prompts("koala-mini")[1].Ids;
        using var promptCache = ShippedModels.Mini.NewCache(1, 128);
        using var single = ShippedModels.Mini.NewCache(1, 128);
        var expected = ShippedModels.Mini.Append(promptCache, ids);
        var steps = cat([.. ids.Select(id => ShippedModels.Mini.Append(single, [id]))], 0);
        AssertClose(expected, steps);
    }

    [Fact]
    public void Prompts_of_different_lengths_in_one_batch_give_the_states_of_single_prompts()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var prompts = Golden.Prompts("koala-mini").Take(3).Select(p => p.Ids).ToArray();
        Assert.NotEqual(prompts[0].Length, prompts[1].Length);
        using var cache = ShippedModels.Mini.NewCache(prompts.Length, 256);
        var batched = ShippedModels.Mini.Append(cache, prompts);
        // A second step of one token each follows prompts of different lengths.
        var next = ShippedModels.Mini.Append(cache, [[17], [18], [19]]);
        for (var b = 0; b < prompts.Length; b++)
        {
            using var baseline = ShippedModels.Mini.NewCache(1, 256);
            var states = ShippedModels.Mini.Append(baseline, prompts[b]);
            AssertClose(states, batched[b].narrow(0, 0, prompts[b].Length));
            AssertClose(ShippedModels.Mini.Append(baseline, [17 + b]), next[b]);
        }
    }

    [Fact]
    public void Packed_segments_do_not_see_each_other()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (a, b) = (Golden.Prompts("koala-mini")[0].Ids, Golden.Prompts("koala-mini")[1].Ids);
        Tensor Row(IEnumerable<int> values) => tensor(values.Select(x => (long)x).ToArray()).view(1, -1);
        using var cache = ShippedModels.Mini.NewCache(1, a.Length + b.Length);
        var packed = ShippedModels.Mini.Features(cache, Row(a.Concat(b)),
            Row(Enumerable.Range(0, a.Length).Concat(Enumerable.Range(0, b.Length))),
            Row(a.Select(_ => 0).Concat(b.Select(_ => 1))), []).Hidden[0];
        using var baseline = ShippedModels.Mini.NewCache(1, b.Length);
        AssertClose(ShippedModels.Mini.Append(baseline, b), packed.narrow(0, a.Length, b.Length));
    }

    [Fact]
    public void With_weights_rounded_to_bf16_the_states_stay_near_the_recorded_ones()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var target = Target.Load(ShippedModels.Folder("koala-mini"), "bf16");
        var expected = Golden.Tensors("koala-mini.safetensors")["hidden.12"];
        var states = target.States(Golden.Prompts("koala-mini")[0].Ids)[^1];
        Assert.InRange(Golden.Distance(expected, states), 0, 0.05 * expected.abs().max().item<float>());
    }

    private static void AssertClose(Tensor expected, Tensor actual) =>
        Tolerance.AssertClose(expected, actual, Roundings(ShippedModels.Mini.Config, ShippedModels.Mini.Config.Layers, 256));

    // The count includes the final norm.
    private static long Roundings(ModelConfig config, int layers, long seen) =>
        Tolerance.Roundings(config, layers, (int)seen, config.HiddenSize);
}
