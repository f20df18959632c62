using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation;

/// <summary>A drafter led along answers: at every place of an answer it drafts, step after step, given the right tokens whatever it drafts itself.</summary>
internal static class TeacherForcing
{
    /// <summary>Answers worth leading along side by side: a step of so many rows costs little more than one of one.</summary>
    public const int Together = 16;

    /// <param name="target">The target.</param>
    /// <param name="source">What drafts.</param>
    /// <param name="answers">The target's own.</param>
    /// <param name="steps">The most steps of a place; as many as the source can draft in a row at most.</param>
    /// <param name="visit">Looks at a step; false: no deeper at this place.</param>
    /// <param name="cancel">Looked at between places.</param>
    /// <returns>False for what drafts without a distribution, as prompt lookup does: nothing was visited.</returns>
    public static bool Lead(Target target, IDraftSource source, IReadOnlyList<Generation> answers, int steps, Func<ForcedStep, bool> visit, CancellationToken cancel)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        int[][] texts = [.. answers.Select(a => (int[])[.. a.PromptTokens, .. a.Tokens])];
        using var drafter = source.NewDrafter(target, answers.Count, texts.Max(text => text.Length) + steps);
        if (drafter is not LevelDrafter levels) return false;

        var (hidden, features) = Read(target, source, texts);
        // Rows of states, [B,n], at places of each text; beyond its end its last one.
        Tensor Rows(Tensor states, Func<int, int> place) => states.flatten(0, 1).index_select(0,
            tensor(texts.Select((text, b) => b * states.shape[1] + Math.Min(place(b), text.Length - 1)).ToArray(), device: target.Device));
        for (var i = 0; ; i++)
        {
            // The root is the answer's token i; what comes after it is guessed.
            int Root(int b) => answers[b].PromptTokens.Count + i;
            int? Right(int b, int n) => Root(b) + 1 + n < texts[b].Length ? texts[b][Root(b) + 1 + n] : null;
            if (texts.Select((_, b) => Right(b, 0)).All(token => token is null)) return true;
            cancel.ThrowIfCancellationRequested();
            using var place = NewDisposeScope();
            int[][] committed = [.. texts.Select((text, b) => Right(b, 0) is null ? [] : text[(i == 0 ? 0 : Root(b) - 1)..(Root(b) + 1)])];
            levels.CatchUp(i == 0 ? features.narrow(1, 0, answers.Max(a => a.PromptTokens.Count)) : Rows(features, b => Root(b) - 1).unsqueeze(1), committed);
            for (var n = 0; n < Math.Min(steps, source.MaxDraftLength); n++)
            {
                int?[] right = [.. texts.Select((_, b) => Right(b, n))];
                if (right.All(token => token is null)) break;
                var q = n == 0 ? levels.First() : levels.Next([.. texts.Select((text, b) => new[] { text[Math.Min(Root(b) + n, text.Length - 1)] })], [.. texts.Select(_ => new int[1])]);
                var step = n;
                if (!visit(new ForcedStep(n, levels, q, right, () => target.Logits(Rows(hidden, b => Root(b) + step))))) break;
            }
        }
    }

    // Hidden states and features of whole texts, in pieces as prompts are read.
    private static (Tensor Hidden, Tensor Features) Read(Target target, IDraftSource source, int[][] texts)
    {
        using var scope = NewDisposeScope();
        var longest = texts.Max(text => text.Length);
        using var cache = target.NewCache(texts.Length, longest);
        var (hidden, features) = (new List<Tensor>(), new List<Tensor>());
        for (var start = 0; start < longest; start += Target.PromptPiece)
        {
            var piece = target.Append(cache, [.. texts.Select(text => text.Skip(start).Take(Target.PromptPiece).ToArray())], null, source.FeatureLayers);
            hidden.Add(piece.Hidden);
            features.Add(piece.Features);
        }
        return (cat(hidden, 1).MoveToOuterDisposeScope(), cat(features, 1).MoveToOuterDisposeScope());
    }
}

/// <summary>What a drafter says at a place after so many right tokens; B answers side by side.</summary>
/// <param name="Drafted">Right tokens given after the root; 0: none.</param>
/// <param name="Drafter">The drafter.</param>
/// <param name="Logits">Its logits of the next token, [B,V'].</param>
/// <param name="Right">Each answer's next token; null where it has ended.</param>
/// <param name="TargetLogits">The target's logits of that token, [B,V]; where an answer has ended they mean nothing.</param>
internal readonly record struct ForcedStep(int Drafted, LevelDrafter Drafter, Tensor Logits, int?[] Right, Func<Tensor> TargetLogits);
