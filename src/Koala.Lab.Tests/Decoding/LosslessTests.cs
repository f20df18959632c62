using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Greedy decoding gives the same tokens as the baseline, whatever the head proposes.</summary>
[Trait(PromptSample.Category, PromptSample.Sampled)]
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class LosslessTests
{
    private const int Tokens = 24;

    [Theory, InlineData(0), InlineData(1), InlineData(2), InlineData(3), InlineData(4)]
    public void The_recorded_random_head_changes_nothing_on_nano(int draftLength)
    {
        using var head = PlainDecoding.RecordedHead();
        foreach (var prompt in NanoPrompts()) AssertLossless(ShippedModels.Nano, head, prompt, draftLength);
    }

    [Theory, InlineData(1), InlineData(2), InlineData(3)]
    public void Heads_of_K_layers_change_nothing_on_nano(int layers)
    {
        using var head = PlainDecoding.RandomHead(ShippedModels.Nano, layers);
        foreach (var prompt in NanoPrompts()) AssertLossless(ShippedModels.Nano, head, prompt, null);
    }

    [Theory, InlineData(1, 1), InlineData(1, 3), InlineData(2, 4), InlineData(3, 2)]
    public void An_untrained_head_changes_nothing_on_mini(int layers, int draftLength)
    {
        using var head = DraftHead.Create(new MedusaOptions { Layers = layers }, ShippedModels.Mini);
        var prompts = Golden.Prompts("koala-mini");
        foreach (var prompt in PromptSample.Spread(prompts, PromptSample.Count(prompts.Count, 3)))
            AssertLossless(ShippedModels.Mini, head, prompt.Ids, draftLength);
    }

    [Fact]
    public void Mt_bench_answers_of_mini_stay_the_same()
    {
        using var head = PlainDecoding.RandomHead(ShippedModels.Mini, 2);
        int[][] questions = [.. PlainDecoding.MtBench(ShippedModels.Mini, 80)
            .Where(p => p.Length < ShippedModels.Mini.Config.ContextLength)];
        foreach (var prompt in PromptSample.Spread(questions, PromptSample.Count(questions.Length, 4)))
            AssertLossless(ShippedModels.Mini, head, prompt, null);
    }

    /// <summary>
    /// Every pattern of acceptance follows every other, so a rejected candidate that is left in the cache would show.
    /// </summary>
    [Fact]
    public void A_head_that_is_correct_at_times_changes_nothing()
    {
        var seen = new HashSet<int>();
        foreach (var prompt in NanoPrompts())
        {
            var expected = PlainDecoding.Greedy(ShippedModels.Nano, prompt, Tokens + 8);
            var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, prompt.Length, 4, Padded(expected),
                done => (done * 7 + done / 3 + prompt.Length) % 5);
            AssertLossless(ShippedModels.Nano, head, prompt, null, seen);
        }
        Assert.Equal([0, 1, 2, 3, 4], seen.Order());
    }

    private static int[] Padded(int[] expected) => [.. expected, .. new int[16]];

    private static IReadOnlyList<int[]> NanoPrompts() =>
        PlainDecoding.Sample(ShippedModels.Nano, few: 8, questions: 20, below: ShippedModels.Nano.Config.ContextLength);

    private static void AssertLossless(Target target, IDraftSource head, int[] prompt, int? draftLength,
        HashSet<int>? seen = null)
    {
        using var decoder = new SpeculativeDecoder(target, head) { ChooseDraftLength = false };
        var speculative = decoder.Generate(prompt, new GenerationOptions { MaxTokens = Tokens, DraftLength = draftLength });
        var expected = PlainDecoding.Answer(target, prompt, Tokens);
        Assert.Equal(expected, speculative.Tokens);
        Assert.Equal(speculative.Tokens.Count, Math.Min(Tokens, 1 + speculative.Rounds.Sum(r => r.Committed)));
        Assert.All(speculative.Rounds, r => Assert.InRange(r.Drafted, 0, draftLength ?? head.MaxDraftLength));
        seen?.UnionWith(speculative.Rounds.Select(r => r.Accepted));
    }
}
