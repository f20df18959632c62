using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Acceptance;

/// <summary>A drafter led along answers: at every place of an answer it drafts, step after step, given the right tokens whatever it drafts itself.</summary>
internal static class TeacherForcing
{
    /// <summary>Answers worth leading along side by side: a step of so many rows costs little more than one of one.</summary>
    public const int BatchSize = 16;

    /// <param name="target">The target.</param>
    /// <param name="source">What drafts.</param>
    /// <param name="answers">The target's own.</param>
    /// <param name="steps">The most steps of a place; as many as the source can draft in a row at most.</param>
    /// <param name="visit">Looks at a step; false: no deeper at this place.</param>
    /// <param name="cancel">Looked at between places.</param>
    /// <returns>False for what drafts without a distribution, as prompt lookup does: nothing was visited.</returns>
    public static bool Run(Target target, IDraftSource source, IReadOnlyList<Generation> answers, int steps, Func<ForcedStep, bool> visit, CancellationToken cancel)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        int[][] texts = [.. answers.Select(a => (int[])[.. a.PromptTokens, .. a.Tokens])];
        using var drafter = source.NewDrafter(target, answers.Count, texts.Max(text => text.Length) + steps);
        if (drafter is not LevelDrafter levels) return false;

        TargetOutput output;
        using (var cache = target.NewCache(texts.Length, texts.Max(text => text.Length)))
            output = target.Prefill(cache, texts, source.FeatureLayers);
        // A position of each text; beyond its end the last one.
        int[][] At(Func<int, int> position) => [.. texts.Select((text, b) => new[] { Math.Min(position(b), text.Length - 1) })];
        for (var i = 0; ; i++)
        {
            // The root is the answer's token i; what comes after it is guessed.
            int Root(int b) => answers[b].PromptTokens.Count + i;
            int? Right(int b, int n) => Root(b) + 1 + n < texts[b].Length ? texts[b][Root(b) + 1 + n] : null;
            if (texts.Select((_, b) => Right(b, 0)).All(token => token is null)) return true;
            cancel.ThrowIfCancellationRequested();
            using var place = NewDisposeScope();
            int[][] committed = [.. texts.Select((text, b) => Right(b, 0) is null ? [] : text[(i == 0 ? 0 : Root(b) - 1)..(Root(b) + 1)])];
            var prompts = output.Features.narrow(1, 0, answers.Max(a => a.PromptTokens.Count));
            levels.Extend(i == 0 ? prompts : output.FeaturesAt(At(b => Root(b) - 1)), committed);
            for (var n = 0; n < Math.Min(steps, source.MaxDraftLength); n++)
            {
                int?[] right = [.. texts.Select((_, b) => Right(b, n))];
                if (right.All(token => token is null)) break;
                var q = n == 0 ? levels.First() : levels.Next([.. texts.Select((text, b) => new[] { text[Math.Min(Root(b) + n, text.Length - 1)] })], [.. texts.Select(_ => new int[1])]);
                var step = n;
                Tensor TargetLogits() => target.Logits(output.HiddenAt(At(b => Root(b) + step)).squeeze(1));
                if (!visit(new ForcedStep(n, levels, q, right, TargetLogits))) break;
            }
        }
    }
}

/// <summary>What a drafter says at a place after so many right tokens; B answers side by side.</summary>
/// <param name="Drafted">Right tokens given after the root; 0: none.</param>
/// <param name="Drafter">The drafter.</param>
/// <param name="Logits">Its logits of the next token, [B,V'].</param>
/// <param name="Correct">Each answer's next token; null where it has ended.</param>
/// <param name="TargetLogits">The target's logits of that token, [B,V]; where an answer has ended they mean nothing.</param>
internal readonly record struct ForcedStep(int Drafted, LevelDrafter Drafter, Tensor Logits, int?[] Correct, Func<Tensor> TargetLogits);
