using Koala.Lab.Heads;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;

namespace Koala.Lab.Decoding;

/// <summary>Answers that grow round by round, each at its own pace. One that has ended gets no tokens any more, and its place in the cache is empty.</summary>
/// <param name="answers">A sequence of the cache each.</param>
/// <param name="random">Of each its own generator, so that an answer does not depend on those beside it.</param>
/// <param name="cache">The target's.</param>
internal sealed class AnswersSideBySide(Answer[] answers, RandomSource[] random, KeyValueCache cache)
{
    private readonly int[] _roots = new int[answers.Length];

    /// <summary>Whether any has not ended.</summary>
    public bool Running => answers.Any(answer => !answer.Ended);

    /// <summary>The drafts of those that run on, cut to what the cache has slots for beside the roots. Near its end the longest sequence has the fewest.</summary>
    public IReadOnlyList<Draft> Fitting(Func<IReadOnlyList<Draft>> propose)
    {
        var room = cache.Capacity - cache.Lengths.Max() - 1;
        if (room == 0) return [.. answers.Select(_ => Draft.Empty)];
        return [.. propose().Select((draft, b) => answers[b].Ended ? Draft.Empty : draft.Cut(room))];
    }

    /// <summary>What a step of the target goes over: root and candidates of each.</summary>
    public int[][] Tokens(IReadOnlyList<Draft> drafts) =>
        [.. drafts.Select((draft, b) => answers[b].Ended ? (int[])[] : [_roots[b], .. draft.Candidates.Select(c => c.Token)])];

    /// <summary>The index of the token before each of them; the root comes after what the cache holds.</summary>
    public int[][] Parents(IReadOnlyList<Draft> drafts) =>
        [.. drafts.Select((draft, b) => answers[b].Ended ? (int[])[] : [-1, .. draft.Candidates.Select(c => c.Parent + 1)])];

    /// <summary>What is kept of each draft; null where the answer has ended.</summary>
    public Verdict?[] Judge(Acceptance acceptance, IReadOnlyList<Scores> scores, IReadOnlyList<Draft> drafts) =>
        [.. answers.Select((answer, b) => answer.Ended ? (Verdict?)null : acceptance.Judge(scores[b], drafts[b], random[b]))];

    /// <summary>Takes over what was kept, and the bonus tokens as the new roots.</summary>
    /// <returns>Of each that runs on the old root, what was accepted and the new root; of others nothing.</returns>
    public int[][] Commit(IReadOnlyList<Draft> drafts, Verdict?[] verdicts)
    {
        var committed = new int[answers.Length][];
        for (var b = 0; b < answers.Length; b++)
        {
            committed[b] = [];
            if (verdicts[b] is not { } verdict) continue;
            int[] tokens = [_roots[b], .. verdict.Path.Select(i => drafts[b].Candidates[i].Token), verdict.Bonus];
            if (Take(b, tokens[1..])) committed[b] = tokens;
        }
        return committed;
    }

    /// <summary>Takes over the tokens that prefill gave.</summary>
    /// <returns>Of each that runs on its prompt and the root; of others nothing.</returns>
    public int[][] Begin(IReadOnlyList<IReadOnlyList<int>> prompts, Verdict?[] verdicts) =>
        [.. prompts.Select((prompt, b) => Take(b, [verdicts[b]!.Value.Bonus]) ? (int[])[.. prompt, _roots[b]] : [])];

    /// <summary>Prefill is over.</summary>
    public void EndPrefill()
    {
        foreach (var answer in answers) answer.EndPrefill();
    }

    /// <summary>Notes the round with those it was a round of.</summary>
    public void Record(IReadOnlyList<Draft> drafts, Verdict?[] verdicts, IReadOnlyList<Scores> scores, RoundClock clock)
    {
        for (var b = 0; b < answers.Length; b++)
            if (verdicts[b] is { } verdict) answers[b].Record(drafts[b], verdict, scores[b], clock);
    }

    /// <summary>The answers, when all have ended.</summary>
    public Generation[] Finish() => [.. answers.Select(answer => answer.Finish())];

    // Whether the answer runs on.
    private bool Take(int b, int[] tokens)
    {
        answers[b].Commit(tokens);
        _roots[b] = tokens[^1];
        if (answers[b].Ended) cache.Truncate(b, 0);
        return !answers[b].Ended;
    }
}
