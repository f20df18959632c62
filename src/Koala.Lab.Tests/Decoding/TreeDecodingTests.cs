using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Greedy decoding with trees and batches gives the same tokens as the baseline.</summary>
public sealed class TreeDecodingTests
{
    private const int Tokens = 32;

    private static readonly ChainTree s_any = new(8);

    [Fact]
    public void Trees_of_any_form_change_nothing()
    {
        var accepted = new HashSet<int>();
        foreach (var prompt in Prompts(ShippedModels.Nano, 12))
        {
            var source = new PlantedTrees([PlainDecoding.Greedy(ShippedModels.Nano, prompt, Tokens + 16)], 18);
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, source) { ChooseDraftLength = false };
            AssertSame(ShippedModels.Nano, prompt,
                decoder.Generate(prompt, new GenerationOptions { MaxTokens = Tokens, Tree = s_any }));
            accepted.UnionWith(source.AcceptedCounts);
        }
        Assert.Superset(new HashSet<int> { 0, 1, 2, 3 }, accepted);
    }

    [Theory, InlineData("koala-nano"), InlineData("koala-mini")]
    public void A_batch_gives_the_answers_of_single_prompts(string name)
    {
        var target = name == "koala-nano" ? ShippedModels.Nano : ShippedModels.Mini;
        // The prompts have different lengths, so that each sequence is at another position and ends in another round.
        int[][] prompts = [.. Prompts(target, 5)];
        var source = new PlantedTrees([.. prompts.Select(p => PlainDecoding.Greedy(target, p, Tokens + 16))], 9);
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        var answers = decoder.GenerateAll(prompts, new GenerationOptions { MaxTokens = Tokens, Tree = s_any });
        for (var b = 0; b < prompts.Length; b++) AssertSame(target, prompts[b], answers[b]);
        Assert.True(answers.Select(a => a.Rounds.Count).Distinct().Count() > 1);
    }

    [Fact]
    public void A_batch_without_a_head_gives_the_answers_of_single_prompts()
    {
        int[][] prompts = [.. Prompts(ShippedModels.Nano, 4)];
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        var answers = decoder.GenerateAll(prompts, new GenerationOptions { MaxTokens = Tokens });
        for (var b = 0; b < prompts.Length; b++) AssertSame(ShippedModels.Nano, prompts[b], answers[b]);
    }

    [Fact]
    public void Sampled_answers_of_a_batch_are_those_of_their_streams()
    {
        int[][] prompts = [.. Prompts(ShippedModels.Nano, 3)];
        using var head = PlainDecoding.RandomHead(ShippedModels.Nano, 1);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var options = new GenerationOptions { MaxTokens = Tokens, Temperature = 0.8, Seed = 3, Stream = 10 };
        var together = decoder.GenerateAll(prompts, options);
        for (var b = 0; b < prompts.Length; b++)
            Assert.Equal(decoder.Generate(prompts[b], options with { Stream = 10 + b }).Tokens, together[b].Tokens);
    }

    [Theory, Trait(PromptSample.Category, PromptSample.Sampled)]
    [InlineData("koala-nano", "mc_sim_7b_63", 0)]
    [InlineData("koala-nano", "eagle-1", 0)]
    [InlineData("koala-nano", "dynamic", 0)]
    [InlineData("koala-mini", "mc_sim_7b_63", 0)]
    [InlineData("koala-mini", "dynamic", 0)]
    [InlineData("koala-nano", "eagle-1", 3)]
    [InlineData("koala-nano", "dynamic", 3)]
    public void Medusa_trees_change_nothing(string name, string tree, int batch)
    {
        var target = name == "koala-nano" ? ShippedModels.Nano : ShippedModels.Mini;
        using var head = Medusa(target, 5);
        using var decoder = new SpeculativeDecoder(target, head) { ChooseDraftLength = false };
        var options = new GenerationOptions { MaxTokens = Tokens, Tree = Shape(tree) };
        int[][] all = [.. Prompts(target, 6)];
        int[][] prompts = [.. PromptSample.Spread(all, PromptSample.Count(all.Length, batch == 0 ? 3 : 6))];
        var answers = batch == 0
            ? [.. prompts.Select(p => decoder.Generate(p, options))]
            : prompts.Chunk(batch).SelectMany(group => decoder.GenerateAll(group, options)).ToArray();
        foreach (var (prompt, answer) in prompts.Zip(answers)) AssertSame(target, prompt, answer);
        Assert.Contains(answers.SelectMany(a => a.Rounds), r => r.Drafted > r.Depth);
    }

    [Theory, InlineData("mc_sim_7b_63"), InlineData("dynamic")]
    public void A_context_that_fills_up_ends_at_the_last_token_that_fits(string tree)
    {
        var context = ShippedModels.Nano.Config.ContextLength;
        int[] prompt = [.. Enumerable.Range(0, context - 20).Select(i => 5 + i * 7 % 400)];
        var expected = PlainDecoding.Answer(ShippedModels.Nano, prompt, 40);
        using var head = Medusa(ShippedModels.Nano, 4);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var answer = decoder.Generate(prompt, new GenerationOptions { MaxTokens = 100, Tree = Shape(tree) });
        Assert.Equal(expected, answer.Tokens);
        if (expected.Length == 20) Assert.Equal(FinishReason.Length, answer.FinishReason);
    }

    [Fact]
    public void A_draft_length_beside_a_tree_and_typical_acceptance_without_a_temperature_are_refused()
    {
        Assert.Equal("draftLength",
            Assert.Throws<KoalaException>(() =>
                new GenerationOptions { DraftLength = 2, Tree = StaticTree.Find("eagle-1") }.Validate()).Where);
        Assert.Equal("acceptance",
            Assert.Throws<KoalaException>(() =>
                new GenerationOptions { Acceptance = AcceptanceMode.Typical }.Validate()).Where);
    }

    private static DraftTree Shape(string name) =>
        name == "dynamic" ? new DynamicTree { Tokens = 20, Levels = 4, TopK = 5 } : StaticTree.Find(name);

    private static DraftHead Medusa(Target target, int heads) => DraftHead.Create(new MedusaOptions { Heads = heads }, target);

    private static IEnumerable<int[]> Prompts(Target target, int count) =>
        PlainDecoding.MtBench(target, 40).Where(p => p.Length < target.Config.ContextLength - Tokens - 80).Take(count);

    private static void AssertSame(Target target, int[] prompt, Generation answer)
    {
        var expected = PlainDecoding.Answer(target, prompt, Tokens);
        Assert.Equal(expected, answer.Tokens);
    }
}
