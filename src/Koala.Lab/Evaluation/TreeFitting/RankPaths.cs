using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>
/// How a head ranks what its target says: at every place of the target's own answers, which of the head's choices each of the next tokens is, the head
/// being given those before it. A static tree accepts there as much of this path as is in the tree, whatever the tree: so what any tree would have
/// accepted is counted, with no assumption (ours; Medusa's fit takes depths for independent).
/// </summary>
/// <param name="Depth">Tokens looked ahead from a place.</param>
/// <param name="Answers">
/// Of each answer, place after place from its first token on: the ranks of the tokens that follow, 0 the head's best, up to <see cref="Depth"/> of them; ended
/// before the first that is not among the head's <see cref="Ranks"/> best. The last <see cref="Depth"/> places of an answer are not there: not all that follows is known.
/// </param>
public sealed record RankPaths(int Depth, IReadOnlyList<IReadOnlyList<IReadOnlyList<int>>> Answers)
{
    /// <summary>The choices looked at: ranks are 0 to 9.</summary>
    public const int Ranks = 10;

    /// <summary>The most tokens looked ahead.</summary>
    public const int MostDepth = 8;

    /// <summary>Places counted.</summary>
    public int Positions => Answers.Sum(answer => answer.Count);

    /// <summary>Leads a head along answers.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">What drafts, level after level.</param>
    /// <param name="answers">The target's own, greedy.</param>
    /// <param name="cancel">Looked at between places.</param>
    /// <exception cref="KoalaException">It drafts without a distribution, as prompt lookup does.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static RankPaths Collect(Target target, IDraftSource source, IReadOnlyList<Generation> answers, CancellationToken cancel = default)
    {
        var depth = Math.Min(source.MaxDraftLength, MostDepth);
        return new RankPaths(depth, [.. answers.Chunk(TeacherForcing.BatchSize).SelectMany(group => OfGroup(target, source, group, depth, cancel))]);
    }

    /// <summary>
    /// The acceptance length of a tree: tokens committed a round, bonus included, in the rounds that it would have made along these answers. Rounds at
    /// places that are not there do not count. NaN without places.
    /// </summary>
    public double AcceptanceLength(StaticTree tree) => AcceptanceLength(tree.Paths.Select(TreeGrowth.CodeOf).ToHashSet());

    internal double AcceptanceLength(IReadOnlySet<long> tree)
    {
        var (rounds, tokens) = (0L, 0L);
        foreach (var answer in Answers)
            for (var place = 0; place < answer.Count; rounds++)
            {
                var committed = TreeGrowth.CodesAlong(answer[place]).TakeWhile(tree.Contains).Count() + 1;
                place += committed;
                tokens += committed;
            }
        return (double)tokens / rounds;
    }

    private static List<IReadOnlyList<int>>[] OfGroup(Target target, IDraftSource source, Generation[] answers, int depth, CancellationToken cancel)
    {
        var paths = answers.Select(_ => new List<IReadOnlyList<int>>()).ToArray();
        var growing = new List<int>?[answers.Length];   // paths of this place that have not ended
        // The same choice as in decoding, so that ties fall alike.
        var chooser = new GreedySampler(withProbabilities: false);
        var levels = TeacherForcing.Run(target, source, answers, depth, step =>
        {
            if (step.Drafted == 0)
                for (var b = 0; b < answers.Length; b++)
                {
                    growing[b] = paths[b].Count < answers[b].Tokens.Count - depth ? [] : null;
                    if (growing[b] is { } path) paths[b].Add(path);
                }
            if (growing.All(path => path is null)) return false;
            var sampled = step.Drafter.Sample(chooser, step.Logits, Ranks, parents: 1);
            for (var b = 0; b < answers.Length; b++)
            {
                var rank = Array.FindIndex(sampled[b], sampled => sampled.Token == step.Correct[b]);
                if (rank < 0) growing[b] = null;
                growing[b]?.Add(rank);
            }
            return growing.Any(path => path is not null);
        }, cancel);
        if (!levels)
            throw KoalaException.ForOption(nameof(source), "drafts no choices to rank, so that no tree can be fitted to it",
                $"give a trained head, or a {new OptionName(nameof(DraftModel))}");
        return paths;
    }
}
