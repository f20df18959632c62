using Koala.Lab.Decoding.Trace;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;

namespace Koala.Lab.Decoding;

/// <summary>
/// A batch of answers, which grow round by round, and the target's cache that holds them. Each answer grows by its own
/// number of tokens. An answer that has ended gets no more tokens, and its sequence in the cache is empty.
/// </summary>
/// <param name="sequences">The answers, one per sequence of the cache.</param>
/// <param name="random">
/// One random generator per answer, so that an answer does not depend on the other answers of the batch.
/// </param>
/// <param name="cache">The target's cache. Only this batch and the target's steps change it.</param>
internal sealed class SequenceBatch(Sequence[] sequences, RandomSource[] random, KeyValueCache cache)
{
    private readonly int[] _roots = new int[sequences.Length];
    private int[] _starts = new int[sequences.Length];   // the lengths in the cache before the round's step

    /// <summary>The cache that the target's step appends to.</summary>
    public KeyValueCache Cache => cache;

    /// <summary>Whether any answer has not ended.</summary>
    public bool Running => sequences.Any(sequence => !sequence.Ended);

    /// <summary>An empty draft for each answer.</summary>
    public IReadOnlyList<Draft> NoDrafts => [.. sequences.Select(_ => Drafting.Draft.Empty)];

    /// <summary>Drafts for each answer that has not ended; the other answers get an empty draft.</summary>
    /// <remarks>
    /// All drafts are cut to the same number of candidates: the free slots of the longest sequence, less one for its
    /// root.
    /// </remarks>
    /// <param name="drafter">The drafter; null means that nothing is drafted.</param>
    /// <param name="tree">The draft tree; null means that nothing is drafted.</param>
    /// <param name="sampler">The sampler, which takes the best candidates or draws them.</param>
    public IReadOnlyList<Draft> Draft(Drafter? drafter, DraftTree? tree, ITokenSampler sampler)
    {
        var freeSlots = cache.Capacity - cache.Lengths.Max() - 1;
        if (drafter is null || tree is not { Nodes: > 0 } || freeSlots == 0) return NoDrafts;
        var proposed = drafter.Propose(tree, sampler);
        return [.. proposed.Select((draft, b) => draft.Truncate(sequences[b].Ended ? 0 : freeSlots))];
    }

    /// <summary>
    /// The input of the target's step: the root and the candidates of each answer that has not ended.
    /// </summary>
    public TokenTrees Trees(IReadOnlyList<Draft> drafts)
    {
        _starts = [.. cache.Lengths];
        var (tokens, parents) = (new int[drafts.Count][], new int[drafts.Count][]);
        for (var b = 0; b < drafts.Count; b++)
        {
            tokens[b] = sequences[b].Ended ? [] : [_roots[b], .. drafts[b].Candidates.Select(candidate => candidate.Token)];
            parents[b] = sequences[b].Ended ? [] : [-1, .. drafts[b].Candidates.Select(candidate => candidate.Parent + 1)];
        }
        return new TokenTrees(tokens, parents);
    }

    /// <summary>Verifies each draft.</summary>
    /// <returns>The accepted path of each draft; null where the answer has ended.</returns>
    public AcceptedPath?[] Accept(Verifier verifier, IReadOnlyList<TargetDistributions> distributions, IReadOnlyList<Draft> drafts)
    {
        AcceptedPath? Verify(int b) => sequences[b].Ended ? null : verifier.Verify(distributions[b], drafts[b], random[b]);
        return [.. Enumerable.Range(0, sequences.Length).Select(Verify)];
    }

    /// <summary>
    /// Commits the accepted tokens to the answers and to the cache. The bonus tokens become the new roots.
    /// </summary>
    /// <returns>
    /// Tokens: for each answer that has not ended, its old root, the accepted tokens and the new root; for other
    /// answers nothing. Rows: for each answer, the rows of the step that the cache keeps.
    /// </returns>
    public (int[][] Tokens, IReadOnlyList<int>[] Rows) Commit(IReadOnlyList<Draft> drafts, AcceptedPath?[] acceptedPaths)
    {
        IReadOnlyList<int>[] rows = [.. acceptedPaths.Select(accepted => accepted?.Rows ?? [])];
        cache.Compact(_starts, rows);
        var committed = new int[sequences.Length][];
        for (var b = 0; b < sequences.Length; b++)
        {
            committed[b] = [];
            if (acceptedPaths[b] is not { } accepted) continue;
            int[] tokens = [_roots[b], .. accepted.Path.Select(i => drafts[b].Candidates[i].Token), accepted.Bonus];
            if (Append(b, tokens[1..], TokenOrigin.Bonus)) committed[b] = tokens;
        }
        return (committed, rows);
    }

    /// <summary>Commits the first token of each answer, which prefill has decided.</summary>
    /// <returns>For each answer that has not ended, its prompt and the root; for other answers nothing.</returns>
    public int[][] Begin(IReadOnlyList<IReadOnlyList<int>> prompts, AcceptedPath?[] acceptedPaths) =>
        [.. prompts.Select((prompt, b) => Append(b, [acceptedPaths[b]!.Value.Bonus], TokenOrigin.Prefill)
            ? (int[])[.. prompt, _roots[b]]
            : [])];

    /// <summary>Stops the prefill clock of every answer.</summary>
    public void EndPrefill()
    {
        foreach (var sequence in sequences) sequence.EndPrefill();
    }

    /// <summary>Records the round in the answers that took part in it.</summary>
    public void Record(
        IReadOnlyList<Draft> drafts, AcceptedPath?[] acceptedPaths, IReadOnlyList<TargetDistributions> distributions, RoundClock clock)
    {
        for (var b = 0; b < sequences.Length; b++)
            if (acceptedPaths[b] is { } accepted) sequences[b].Record(drafts[b], accepted, distributions[b], clock);
    }

    /// <summary>The answers, once all have ended.</summary>
    public Generation[] Finish() => [.. sequences.Select(sequence => sequence.Finish())];

    // Returns whether the answer has not ended.
    private bool Append(int b, int[] tokens, TokenOrigin last)
    {
        sequences[b].Commit(tokens, last);
        _roots[b] = tokens[^1];
        if (sequences[b].Ended) cache.Truncate(b, 0);
        return !sequences[b].Ended;
    }
}
