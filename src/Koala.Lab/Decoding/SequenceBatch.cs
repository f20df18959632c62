using Koala.Lab.Decoding.Trace;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;

namespace Koala.Lab.Decoding;

/// <summary>
/// Answers that grow round by round, each at its own pace, and the target's cache that holds them. One that has ended gets no more tokens,
/// and its sequence in the cache is empty.
/// </summary>
/// <param name="sequences">One for each sequence of the cache.</param>
/// <param name="random">A generator for each answer, so that it does not depend on those beside it.</param>
/// <param name="cache">The target's. Beside the batch only a step of the target changes it.</param>
internal sealed class SequenceBatch(Sequence[] sequences, RandomSource[] random, KeyValueCache cache)
{
    private readonly int[] _roots = new int[sequences.Length];
    private int[] _starts = new int[sequences.Length];   // lengths in the cache before the round's step

    /// <summary>Where the target's step appends.</summary>
    public KeyValueCache Cache => cache;

    /// <summary>Whether any has not ended.</summary>
    public bool Running => sequences.Any(sequence => !sequence.Ended);

    /// <summary>An empty draft for each answer.</summary>
    public IReadOnlyList<Draft> NoDrafts => [.. sequences.Select(_ => Drafting.Draft.Empty)];

    /// <summary>
    /// A draft for each answer that runs on, cut to the slots that the cache has left beside the roots: near its end the longest sequence
    /// has the fewest. For other answers an empty draft.
    /// </summary>
    /// <param name="drafter">Null: nothing is drafted.</param>
    /// <param name="tree">Null: nothing is drafted.</param>
    /// <param name="sampler">Takes the best candidates or draws them.</param>
    public IReadOnlyList<Draft> Draft(Drafter? drafter, DraftTree? tree, ITokenSampler sampler)
    {
        var room = cache.Capacity - cache.Lengths.Max() - 1;
        if (drafter is null || tree is not { Nodes: > 0 } || room == 0) return NoDrafts;
        var proposed = drafter.Propose(tree, sampler);
        return [.. proposed.Select((draft, b) => draft.Cut(sequences[b].Ended ? 0 : room))];
    }

    /// <summary>What the target's step goes over: the root and the candidates of each answer that runs on.</summary>
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

    /// <summary>What is kept of each draft; null where the answer has ended.</summary>
    public AcceptedPath?[] Accept(Verifier verifier, IReadOnlyList<TargetDistributions> distributions, IReadOnlyList<Draft> drafts) =>
        [.. sequences.Select((sequence, b) => sequence.Ended ? (AcceptedPath?)null : verifier.Verify(distributions[b], drafts[b], random[b]))];

    /// <summary>Takes over what was kept, in the answers and in the cache, and the bonus tokens as the new roots.</summary>
    /// <returns>
    /// For each answer that runs on, its old root, what was accepted and the new root (for others nothing); and for each answer the rows of
    /// the step that were kept.
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
            if (Take(b, tokens[1..])) committed[b] = tokens;
        }
        return (committed, rows);
    }

    /// <summary>Takes over the tokens that prefill gave.</summary>
    /// <returns>For each answer that runs on, its prompt and the root; for others nothing.</returns>
    public int[][] Begin(IReadOnlyList<IReadOnlyList<int>> prompts, AcceptedPath?[] acceptedPaths) =>
        [.. prompts.Select((prompt, b) => Take(b, [acceptedPaths[b]!.Value.Bonus]) ? (int[])[.. prompt, _roots[b]] : [])];

    /// <summary>Prefill is over.</summary>
    public void EndPrefill()
    {
        foreach (var sequence in sequences) sequence.EndPrefill();
    }

    /// <summary>Records the round in the answers that took part in it.</summary>
    public void Record(IReadOnlyList<Draft> drafts, AcceptedPath?[] acceptedPaths, IReadOnlyList<TargetDistributions> distributions, RoundClock clock)
    {
        for (var b = 0; b < sequences.Length; b++)
            if (acceptedPaths[b] is { } accepted) sequences[b].Record(drafts[b], accepted, distributions[b], clock);
    }

    /// <summary>The answers, when all have ended.</summary>
    public Generation[] Finish() => [.. sequences.Select(sequence => sequence.Finish())];

    // Whether the answer runs on.
    private bool Take(int b, int[] tokens)
    {
        sequences[b].Commit(tokens);
        _roots[b] = tokens[^1];
        if (sequences[b].Ended) cache.Truncate(b, 0);
        return !sequences[b].Ended;
    }
}
