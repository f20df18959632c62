using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>
/// The ranks that a head gives to the tokens of its target. At every position of the target's own answers, the head is given the tokens
/// before it, and the rank of each of the next tokens among the head's choices is recorded. Any static tree accepts the part of this path
/// that lies in the tree, so the acceptance of every tree can be counted without an assumption. (This is Koala's method; Medusa's fit
/// assumes that depths are independent.)
/// </summary>
/// <param name="Depth">The number of tokens recorded after each position.</param>
/// <param name="Answers">
/// For each answer and each of its positions from the first token on, the ranks of the tokens that follow, at most <see cref="Depth"/> of
/// them. Rank 0 is the head's best token. A path ends before the first token that is not among the head's <see cref="Ranks"/> best. The
/// last <see cref="Depth"/> positions of an answer are left out, because not all tokens after them are known.
/// </param>
public sealed record RankPaths(int Depth, IReadOnlyList<IReadOnlyList<IReadOnlyList<int>>> Answers)
{
    /// <summary>The number of choices that are ranked: ranks are 0 to 9.</summary>
    public const int Ranks = 10;

    /// <summary>The most tokens recorded after a position.</summary>
    public const int MostDepth = 8;

    /// <summary>The number of positions counted.</summary>
    public int Positions => Answers.Sum(answer => answer.Count);

    /// <summary>Runs a drafter along answers with teacher forcing and records the ranks.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">The draft source, which drafts level by level.</param>
    /// <param name="answers">The target's own greedy answers.</param>
    /// <param name="cancel">Checked between positions.</param>
    /// <exception cref="KoalaException">The source drafts without a distribution, as prompt lookup does.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static RankPaths Collect(
        Target target, IDraftSource source, IReadOnlyList<Generation> answers, CancellationToken cancel = default)
    {
        var depth = Math.Min(source.MaxDraftLength, MostDepth);
        var batches = answers.Chunk(TeacherForcing.BatchSize);
        return new RankPaths(depth, [.. batches.SelectMany(batch => CollectBatch(target, source, batch, depth, cancel))]);
    }

    /// <summary>
    /// The acceptance length of a tree: the tokens committed per round, the bonus token included, in the rounds that it would have made
    /// along these answers. Rounds at positions that are left out do not count. NaN without positions.
    /// </summary>
    public double AcceptanceLength(StaticTree tree) => AcceptanceLength(tree.Paths.Select(TreeGrowth.CodeOf).ToHashSet());

    internal double AcceptanceLength(IReadOnlySet<long> tree)
    {
        var (rounds, tokens) = (0L, 0L);
        foreach (var answer in Answers)
            for (var position = 0; position < answer.Count; rounds++)
            {
                var committed = TreeGrowth.CodesAlong(answer[position]).TakeWhile(tree.Contains).Count() + 1;
                position += committed;
                tokens += committed;
            }
        return (double)tokens / rounds;
    }

    private static List<IReadOnlyList<int>>[] CollectBatch(
        Target target, IDraftSource source, Generation[] answers, int depth, CancellationToken cancel)
    {
        var paths = answers.Select(_ => new List<IReadOnlyList<int>>()).ToArray();
        var growing = new List<int>?[answers.Length];   // the paths of this position that have not ended
        // The sampler is that of decoding, so that it resolves ties in the same way.
        var sampler = new GreedySampler(withProbabilities: false);
        var hasLevels = TeacherForcing.Run(target, source, answers, depth, step =>
        {
            if (step.Drafted == 0)
                for (var b = 0; b < answers.Length; b++)
                {
                    growing[b] = paths[b].Count < answers[b].Tokens.Count - depth ? [] : null;
                    if (growing[b] is { } path) paths[b].Add(path);
                }
            if (growing.All(path => path is null)) return false;
            var sampled = step.Drafter.Sample(sampler, step.Logits, Ranks, parents: 1);
            for (var b = 0; b < answers.Length; b++)
            {
                var rank = Array.FindIndex(sampled[b], choice => choice.Token == step.Correct[b]);
                if (rank < 0) growing[b] = null;
                growing[b]?.Add(rank);
            }
            return growing.Any(path => path is not null);
        }, cancel);
        if (!hasLevels)
            throw KoalaException.ForOption(nameof(source), "drafts no choices to rank, so that no tree can be fitted to it",
                $"give a trained head, or a {new OptionName(nameof(DraftModel))}");
        return paths;
    }
}
