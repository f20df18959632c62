using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.Statistics;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Decoding;

namespace Koala.Lab.Tests.Drafting;

/// <summary>Assertions that hold for every drafter.</summary>
internal static class DrafterDriver
{
    /// <summary>Answers a prompt and asserts that the greedy tokens equal the baseline.</summary>
    public static Generation AssertLossless(Target target, IDraftSource source, int[] prompt, int tokens,
        DraftTree? tree = null) =>
        AssertLossless(target, source, [prompt], tokens, tree)[0];

    /// <summary>Answers a batch of prompts and asserts that the greedy tokens equal the baseline.</summary>
    public static IReadOnlyList<Generation> AssertLossless(Target target, IDraftSource source,
        IReadOnlyList<int[]> prompts, int tokens, DraftTree? tree = null)
    {
        using var speculative = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        var options = new GenerationOptions { MaxTokens = tokens };
        var answers = speculative.GenerateAll(prompts, options with { Tree = tree });
        for (var i = 0; i < prompts.Count; i++)
        {
            var baseline = answers[i] with { Tokens = PlainDecoding.Answer(target, prompts[i], tokens) };
            Assert.NotEqual(OutputMatch.Kind.Different, OutputMatch.Compare(target, baseline, answers[i]));
        }
        return answers;
    }
}
