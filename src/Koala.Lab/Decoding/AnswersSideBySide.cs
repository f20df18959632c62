using Koala.Lab.Decoding.Verification;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Trees;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;

namespace Koala.Lab.Decoding;

/// <summary>
/// Answers that grow round by round, each at its own pace, and the target's cache that holds them. One that has ended gets no more tokens,
/// and its sequence in the cache is empty.
/// </summary>
/// <param name="answers">One for each sequence of the cache.</param>
/// <param name="random">A generator for each answer, so that it does not depend on those beside it.</param>
/// <param name="cache">The target's. Beside the batch only a step of the target changes it.</param>
internal sealed class AnswersSideBySide(Answer[] answers, RandomSource[] random, KeyValueCache cache)
{
    private readonly int[] _roots = new int[answers.Length];
    private int[] _starts = new int[answers.Length];   // lengths in the cache before the round's step

    /// <summary>Where the target's step appends.</summary>
    public KeyValueCache Cache => cache;

    /// <summary>Whether any has not ended.</summary>
    public bool Running => answers.Any(answer => !answer.Ended);

    /// <summary>An empty draft for each answer.</summary>
    public IReadOnlyList<Draft> NoDrafts => [.. answers.Select(_ => Heads.Draft.Empty)];

    /// <summary>
    /// A draft for each answer that runs on, cut to the slots that the cache has left beside the roots: near its end the longest sequence
    /// has the fewest. For other answers an empty draft.
    /// </summary>
    /// <param name="drafter">Null: nothing is drafted.</param>
    /// <param name="shape">Null: nothing is drafted.</param>
    /// <param name="chooser">Takes the best candidates or draws them.</param>
    public IReadOnlyList<Draft> Draft(Drafter? drafter, DraftShape? shape, ICandidateChooser chooser)
    {
        var room = cache.Capacity - cache.Lengths.Max() - 1;
        if (drafter is null || shape is not { Nodes: > 0 } || room == 0) return NoDrafts;
        var proposed = drafter.Propose(shape, chooser);
        return [.. proposed.Select((draft, b) => draft.Cut(answers[b].Ended ? 0 : room))];
    }

    /// <summary>What the target's step goes over: the root and the candidates of each answer that runs on.</summary>
    public TokenTrees Trees(IReadOnlyList<Draft> drafts)
    {
        _starts = [.. cache.Lengths];
        var (tokens, parents) = (new int[drafts.Count][], new int[drafts.Count][]);
        for (var b = 0; b < drafts.Count; b++)
        {
            tokens[b] = answers[b].Ended ? [] : [_roots[b], .. drafts[b].Candidates.Select(candidate => candidate.Token)];
            parents[b] = answers[b].Ended ? [] : [-1, .. drafts[b].Candidates.Select(candidate => candidate.Parent + 1)];
        }
        return new TokenTrees(tokens, parents);
    }

    /// <summary>What is kept of each draft; null where the answer has ended.</summary>
    public Verdict?[] Accept(Acceptance acceptance, IReadOnlyList<Scores> scores, IReadOnlyList<Draft> drafts) =>
        [.. answers.Select((answer, b) => answer.Ended ? (Verdict?)null : acceptance.Judge(scores[b], drafts[b], random[b]))];

    /// <summary>Takes over what was kept, in the answers and in the cache, and the bonus tokens as the new roots.</summary>
    /// <returns>
    /// For each answer that runs on, its old root, what was accepted and the new root (for others nothing); and for each answer the rows of
    /// the step that were kept.
    /// </returns>
    public (int[][] Tokens, IReadOnlyList<int>[] Rows) Commit(IReadOnlyList<Draft> drafts, Verdict?[] verdicts)
    {
        IReadOnlyList<int>[] rows = [.. verdicts.Select(verdict => verdict?.Rows ?? [])];
        cache.Keep(_starts, rows);
        var committed = new int[answers.Length][];
        for (var b = 0; b < answers.Length; b++)
        {
            committed[b] = [];
            if (verdicts[b] is not { } verdict) continue;
            int[] tokens = [_roots[b], .. verdict.Path.Select(i => drafts[b].Candidates[i].Token), verdict.Bonus];
            if (Take(b, tokens[1..])) committed[b] = tokens;
        }
        return (committed, rows);
    }

    /// <summary>Takes over the tokens that prefill gave.</summary>
    /// <returns>For each answer that runs on, its prompt and the root; for others nothing.</returns>
    public int[][] Begin(IReadOnlyList<IReadOnlyList<int>> prompts, Verdict?[] verdicts) =>
        [.. prompts.Select((prompt, b) => Take(b, [verdicts[b]!.Value.Bonus]) ? (int[])[.. prompt, _roots[b]] : [])];

    /// <summary>Prefill is over.</summary>
    public void EndPrefill()
    {
        foreach (var answer in answers) answer.EndPrefill();
    }

    /// <summary>Records the round in the answers that took part in it.</summary>
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
