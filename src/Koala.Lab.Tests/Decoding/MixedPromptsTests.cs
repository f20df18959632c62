using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// The greedy answers to <see cref="MixedPrompts"/> are the target's own with every shipped head: in `dotnet test` to a few of them,
/// in docs/thorough.sh to all of them with every kind of tree.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Sampled)]
public sealed class MixedPromptsTests
{
    private const int Tokens = 24;

    public static TheoryData<string> Heads => ShippedHeadsTests.Heads;

    [Theory, MemberData(nameof(Heads))]
    public void A_head_changes_no_answer_to_any_prompt(string name)
    {
        var target = ShippedModels.Of(name[..name.IndexOf('-', "koala-".Length)]);
        using var head = DraftHead.Load(ShippedModels.Folder(name), target);
        using var decoder = new SpeculativeDecoder(target, head) { ChooseDraftLength = false };
        DraftTree?[] trees = [null, StaticTree.Find(head.MaxDraftLength >= 5 ? "eagle-1" : "mc_sim_7b_63"),
            new DynamicTree { Tokens = 16, TopK = 4 }, new DynamicTree()];
        var all = MixedPrompts.For(target);
        Assert.Equal(MixedPrompts.Count, all.Count);
        Assert.Contains(all, prompt => prompt.Length == target.Config.ContextLength - 1);
        var prompts = PromptSample.Spread(all, PromptSample.Count(MixedPrompts.Count, 8));
        var (accepted, rounds) = (0, 0);
        for (var i = 0; i < prompts.Count; i++)
            foreach (var tree in prompts.Count == MixedPrompts.Count ? trees : [trees[i % trees.Length]])
            {
                var answer = decoder.Generate(prompts[i], new GenerationOptions { MaxTokens = Tokens, Tree = tree });
                var expected = PlainDecoding.Answer(target, prompts[i], Tokens);
                Assert.Equal(expected, answer.Tokens);
                accepted += answer.Rounds.Sum(round => round.Accepted);
                rounds += answer.Rounds.Count;
            }
        Assert.True(accepted > rounds / 20, $"{accepted} candidates were accepted in {rounds} rounds");
    }
}
