using Koala.Lab.Decoding.Trace;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>
/// A batch of answers, which grow round by round, and the target's cache that holds them. Each answer grows by its own
/// number of tokens. An answer that has ended gets no more tokens, and its sequence in the cache is empty until another answer takes it.
/// </summary>
/// <param name="cache">The target's cache. Only this batch and the target's steps change it.</param>
/// <param name="random">
/// One random generator per answer, so that an answer does not depend on the other answers of the batch. An answer that begins brings its
/// own.
/// </param>
internal sealed class SequenceBatch(KeyValueCache cache, RandomSource[] random)
{
    private readonly Sequence?[] _sequences = new Sequence?[cache.Batch];   // null where no answer has begun
    private readonly int[] _roots = new int[cache.Batch];
    private int[] _starts = new int[cache.Batch];   // the lengths in the cache before the round's step

    /// <summary>The cache that the target's step appends to.</summary>
    public KeyValueCache Cache => cache;

    /// <summary>Whether any answer has not ended.</summary>
    public bool Running => _sequences.Any(sequence => sequence is { Ended: false });

    /// <summary>The sequences that no answer needs: it has ended, or none has begun there.</summary>
    public IEnumerable<int> Free => Enumerable.Range(0, cache.Batch).Where(IsFree);

    /// <summary>Makes answers begin in free sequences.</summary>
    /// <param name="sequences">The free sequences.</param>
    /// <param name="answers">Their answers, without tokens yet.</param>
    /// <param name="generators">The random generators of these answers.</param>
    public void Take(IReadOnlyList<int> sequences, IReadOnlyList<Sequence> answers, IReadOnlyList<RandomSource> generators)
    {
        for (var i = 0; i < sequences.Count; i++) (_sequences[sequences[i]], random[sequences[i]]) = (answers[i], generators[i]);
    }

    /// <summary>The first tokens of answers that begin, which prefill decides.</summary>
    /// <param name="sequences">Their sequences.</param>
    /// <param name="verifier">The verifier.</param>
    /// <param name="distributions">The target's distributions after their prompts.</param>
    public int[] First(IReadOnlyList<int> sequences, Verifier verifier, IReadOnlyList<TargetDistributions> distributions) =>
        [.. sequences.Select((b, i) => verifier.Verify(distributions[i], Drafting.Draft.Empty, random[b]).Bonus)];

    /// <summary>Commits the first tokens of answers that begin.</summary>
    /// <param name="sequences">Their sequences.</param>
    /// <param name="prompts">Their prompts.</param>
    /// <param name="tokens">The tokens.</param>
    /// <returns>For each sequence where an answer begins and has not ended, its prompt and the root; for others nothing.</returns>
    public int[][] Begin(IReadOnlyList<int> sequences, IReadOnlyList<IReadOnlyList<int>> prompts, IReadOnlyList<int> tokens)
    {
        int[][] committed = [.. _sequences.Select(_ => Array.Empty<int>())];
        for (var i = 0; i < sequences.Count; i++)
            if (Append(sequences[i], [tokens[i]], TokenOrigin.Prefill)) committed[sequences[i]] = [.. prompts[i], tokens[i]];
        return committed;
    }

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
        if (drafter is null || tree is not { Nodes: > 0 } || freeSlots == 0)
            return [.. _sequences.Select(_ => Drafting.Draft.Empty)];
        var proposed = drafter.Propose(tree, sampler);
        return [.. proposed.Select((draft, b) => draft.Truncate(IsFree(b) ? 0 : freeSlots))];
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
            tokens[b] = IsFree(b) ? [] : [_roots[b], .. drafts[b].Candidates.Select(candidate => candidate.Token)];
            parents[b] = IsFree(b) ? [] : [-1, .. drafts[b].Candidates.Select(candidate => candidate.Parent + 1)];
        }
        return new TokenTrees(tokens, parents);
    }

    /// <summary>Verifies each draft.</summary>
    /// <returns>The accepted path of each draft; null where the answer has ended.</returns>
    public AcceptedPath?[] Accept(Verifier verifier, IReadOnlyList<TargetDistributions> distributions, IReadOnlyList<Draft> drafts)
    {
        AcceptedPath? Verify(int b) => IsFree(b) ? null : verifier.Verify(distributions[b], drafts[b], random[b]);
        return [.. Enumerable.Range(0, cache.Batch).Select(Verify)];
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
        var committed = new int[cache.Batch][];
        for (var b = 0; b < cache.Batch; b++)
        {
            committed[b] = [];
            if (acceptedPaths[b] is not { } accepted) continue;
            int[] tokens = [_roots[b], .. accepted.Path.Select(i => drafts[b].Candidates[i].Token), accepted.Bonus];
            if (Append(b, tokens[1..], TokenOrigin.Bonus)) committed[b] = tokens;
        }
        return (committed, rows);
    }

    /// <summary>Extends a drafter by what the answers committed. It forgets those that have ended.</summary>
    /// <param name="drafter">The drafter; null means that nothing is drafted.</param>
    /// <param name="features">The target's features of the committed tokens, [B,N,F].</param>
    /// <param name="committed">The tokens that were committed, as <see cref="Begin"/> and <see cref="Commit"/> return them.</param>
    public void Extend(Drafter? drafter, Tensor features, int[][] committed)
    {
        if (drafter is null) return;
        foreach (var b in Free) drafter.Forget(b);
        var longest = committed.Max(tokens => tokens.Length) - 1;
        if (longest < 0) return;
        // The longest may be of an answer that has ended.
        drafter.Extend(features.shape[1] == longest ? features : features.narrow(1, 0, longest), committed);
    }

    /// <summary>Stops the prefill clock of answers.</summary>
    public void EndPrefill(IReadOnlyList<int> sequences)
    {
        foreach (var b in sequences) _sequences[b]!.EndPrefill();
    }

    /// <summary>Records the round in the answers that took part in it.</summary>
    public void Record(
        IReadOnlyList<Draft> drafts, AcceptedPath?[] acceptedPaths, IReadOnlyList<TargetDistributions> distributions, RoundClock clock)
    {
        for (var b = 0; b < cache.Batch; b++)
            if (acceptedPaths[b] is { } accepted) _sequences[b]!.Record(drafts[b], accepted, distributions[b], clock);
    }

    // Returns whether the answer has not ended.
    private bool Append(int b, int[] tokens, TokenOrigin last)
    {
        _sequences[b]!.Commit(tokens, last);
        _roots[b] = tokens[^1];
        if (!IsFree(b)) return true;
        cache.Truncate(b, 0);
        return false;
    }

    private bool IsFree(int b) => _sequences[b] is null or { Ended: true };
}
