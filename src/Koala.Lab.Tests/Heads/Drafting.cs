using Koala.Lab.Decoding;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Trees;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Decoding;

namespace Koala.Lab.Tests.Heads;

/// <summary>What every drafter is tried with.</summary>
internal static class Drafting
{
    /// <summary>Answers a prompt and asserts that greedy tokens are the target's own.</summary>
    public static Generation AssertLossless(Target target, IDraftSource source, int[] prompt, int tokens, DraftShape? shape = null) =>
        AssertLossless(target, source, [prompt], tokens, shape)[0];

    /// <summary>The same of several prompts side by side.</summary>
    public static IReadOnlyList<Generation> AssertLossless(Target target, IDraftSource source, IReadOnlyList<int[]> prompts, int tokens, DraftShape? shape = null)
    {
        using var speculative = new SpeculativeDecoder(target, source);
        var options = new GenerationOptions { MaxTokens = tokens };
        var answers = speculative.GenerateAll(prompts, options with { Tree = shape });
        for (var i = 0; i < prompts.Count; i++)
        {
            var alone = answers[i] with { Tokens = Reference.Answer(target, prompts[i], tokens) };
            Assert.NotEqual(Equality.Kind.Different, Equality.Of(target, alone, answers[i]));
        }
        return answers;
    }
}
