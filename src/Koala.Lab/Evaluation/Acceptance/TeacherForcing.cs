using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Acceptance;

/// <summary>
/// Runs a drafter along answers. At every position of an answer the drafter drafts step by step, and is given the correct tokens whatever
/// it
/// drafts itself.
/// </summary>
internal static class TeacherForcing
{
    /// <summary>The number of answers in a batch. A step of this many rows costs little more than a step of one row.</summary>
    public const int BatchSize = 16;

    /// <param name="target">The target.</param>
    /// <param name="source">The draft source.</param>
    /// <param name="answers">The target's own answers.</param>
    /// <param name="steps">The most steps at a position. It is limited by the number of tokens that the source can draft in a row.</param>
    /// <param name="visit">Gets each step, and returns false to end the steps at this position.</param>
    /// <param name="cancel">Checked between positions.</param>
    /// <returns>False if the source drafts without a distribution, as prompt lookup does; then no step was visited.</returns>
    public static bool Run(Target target, IDraftSource source, IReadOnlyList<Generation> answers, int steps, Func<ForcedStep, bool> visit,
        CancellationToken cancel)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        int[][] texts = [.. answers.Select(a => (int[])[.. a.PromptTokens, .. a.Tokens])];
        using var drafter = source.NewDrafter(target, answers.Count, texts.Max(text => text.Length) + steps);
        if (drafter is not LevelDrafter levels) return false;
        cancel = CellInterrupt.Or(cancel);

        TargetOutput output;
        using (var cache = target.NewCache(texts.Length, texts.Max(text => text.Length)))
            output = target.Prefill(cache, texts, source.FeatureLayers);
        // One position of each text, clamped to its last one.
        int[][] At(Func<int, int> position) => [.. texts.Select((text, b) => new[] { Math.Min(position(b), text.Length - 1) })];
        for (var i = 0; ; i++)
        {
            // The root is token i of the answer; the tokens after it are drafted.
            int Root(int b) => answers[b].PromptTokens.Count + i;
            int? Correct(int b, int n) => Root(b) + 1 + n < texts[b].Length ? texts[b][Root(b) + 1 + n] : null;
            if (texts.Select((_, b) => Correct(b, 0)).All(token => token is null)) return true;
            cancel.ThrowIfCancellationRequested();
            using var positionScope = NewDisposeScope();
            int[] Committed(int b) => Correct(b, 0) is null ? [] : texts[b][(i == 0 ? 0 : Root(b) - 1)..(Root(b) + 1)];
            int[][] committed = [.. texts.Select((_, b) => Committed(b))];
            for (var b = 0; b < committed.Length; b++)
                if (committed[b].Length == 0) levels.Forget(b);
            var prompts = output.Features.narrow(1, 0, answers.Max(a => a.PromptTokens.Count));
            levels.Extend(i == 0 ? prompts : output.FeaturesAt(At(b => Root(b) - 1)), committed);
            for (var n = 0; n < Math.Min(steps, source.MaxDraftLength); n++)
            {
                var step = n;
                int?[] correct = [.. texts.Select((_, b) => Correct(b, step))];
                if (correct.All(token => token is null)) break;
                int[] TokenBefore(int b) => [texts[b][Math.Min(Root(b) + step, texts[b].Length - 1)]];
                var logits = n == 0
                    ? levels.First()
                    : levels.Next([.. texts.Select((_, b) => TokenBefore(b))], [.. texts.Select(_ => new int[1])]);
                Tensor TargetLogits() => target.Logits(output.HiddenAt(At(b => Root(b) + step)).squeeze(1));
                if (!visit(new ForcedStep(n, levels, logits, correct, TargetLogits))) break;
            }
        }
    }
}

/// <summary>The output of a drafter at a position after some correct tokens, for a batch of B answers.</summary>
/// <param name="Drafted">The number of correct tokens that were given after the root.</param>
/// <param name="Drafter">The drafter.</param>
/// <param name="Logits">The drafter's logits of the next token, [B,V'].</param>
/// <param name="Correct">The next token of each answer; null where the answer has ended.</param>
/// <param name="TargetLogits">
/// Computes the target's logits of that token, [B,V]. The rows of answers that have ended have no meaning.
/// </param>
internal readonly record struct ForcedStep(int Drafted, LevelDrafter Drafter, Tensor Logits, int?[] Correct, Func<Tensor> TargetLogits);
