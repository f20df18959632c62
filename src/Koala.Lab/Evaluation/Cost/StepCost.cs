using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using MathNet.Numerics.Statistics;

namespace Koala.Lab.Evaluation.Cost;

/// <summary>What rounds cost on this device: measured apart from answers, whatever is accepted, so that it also holds for a head that was never trained.</summary>
/// <param name="BaselineMs">Median milliseconds of a round of the target alone: a step of one token a sequence.</param>
/// <param name="Trees">Rounds with a draft, by rising number of candidates.</param>
public sealed record StepCost(double BaselineMs, IReadOnlyList<TreeCost> Trees)
{
    private const int WarmUps = 2;
    private const int FewestRounds = 3;
    private const int MostRounds = 40;

    /// <summary>Milliseconds of a round with so many candidates; between two measured numbers, and beyond the largest, in proportion.</summary>
    public double RoundMs(int nodes)
    {
        (int Nodes, double Ms)[] points = [(0, BaselineMs), .. Trees.Where(shape => shape.Nodes > 0).DistinctBy(shape => shape.Nodes).Select(shape => (shape.Nodes, shape.RoundMs))];
        if (points.FirstOrDefault(point => point.Nodes == nodes, (-1, 0)) is (>= 0, var ms)) return ms;
        if (points.Length == 1) throw new ArgumentOutOfRangeException(nameof(nodes), nodes, "no round with a draft was measured");
        var above = Array.FindIndex(points, point => point.Nodes > nodes);
        // A drawn tree may have more candidates in an answer than it had when it was measured.
        if (above < 0) above = points.Length - 1;
        var ((low, lowMs), (high, highMs)) = (points[above - 1], points[above]);
        return lowMs + (highMs - lowMs) * (nodes - low) / (high - low);
    }

    /// <summary>The acceptance length at which rounds that drafted so many candidates each are as fast as the target alone. NaN without rounds.</summary>
    public double BreakEven(IReadOnlyList<int> drafted) => drafted.Count == 0 ? double.NaN : drafted.Average(RoundMs) / BaselineMs;

    /// <summary>Chains up to a length that between them say what every chain up to it costs: with the root they make 2, 3, 4, 6, 8, 12, ... tokens, and the longest.</summary>
    public static IReadOnlyList<DraftTree> Chains(int longest) =>
        [.. Enumerable.Range(1, 29).SelectMany(power => (int[])[(1 << power) - 1, 3 * (1 << power) / 2 - 1])
            .TakeWhile(length => length < longest).Append(longest).Where(length => length > 0).Select(length => new ChainTree(length))];

    /// <summary>What has to be measured to know the cost of rounds that draft a shape: of a chain, shorter chains too; a tree is measured alone.</summary>
    internal static IReadOnlyList<DraftTree> TreesUpTo(DraftTree tree) => tree is ChainTree chain ? Chains(chain.Length) : [tree];

    /// <summary>Measures rounds of the target alone and of each shape in turn, so that other work on the machine falls on all alike.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">What drafts.</param>
    /// <param name="trees">At most as deep as it can draft.</param>
    /// <param name="options">How tokens are chosen. Null: greedy.</param>
    /// <param name="batch">Sequences side by side. Default 1.</param>
    /// <param name="budget">Time after which no further turn begins; three are made in any case. Null: a second.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static StepCost Measure(Target target, IDraftSource source, IReadOnlyList<DraftTree> trees, GenerationOptions? options = null, int batch = 1,
        TimeSpan? budget = null, CancellationToken cancel = default)
    {
        using var rounds = new RoundBenchmark(target, source, options ?? new GenerationOptions(), batch, trees.Select(tree => tree.Nodes).Append(0).Max());
        var (baseline, drafted) = (new List<double>(), trees.Select(_ => new List<TreeCost>()).ToArray());
        var began = TimeProvider.System.GetTimestamp();
        for (var turn = 0; turn < WarmUps + MostRounds; turn++)
        {
            if (turn >= WarmUps + FewestRounds && TimeProvider.System.GetElapsedTime(began) > (budget ?? TimeSpan.FromSeconds(1))) break;
            if (turn == WarmUps)
            {
                baseline.Clear();
                foreach (var list in drafted) list.Clear();
            }
            cancel.ThrowIfCancellationRequested();
            baseline.Add(rounds.Baseline());
            for (var i = 0; i < trees.Count; i++) drafted[i].Add(rounds.With(trees[i]));
        }
        return new StepCost(baseline.Median(), [.. drafted.Select(MedianOf).OrderBy(cost => cost.Nodes)]);
    }

    private static TreeCost MedianOf(List<TreeCost> costs) => new(costs[0].Tree, costs.Max(c => c.Nodes),
        costs.Select(c => c.DraftMs).Median(), costs.Select(c => c.VerifyMs).Median(), costs.Select(c => c.BookkeepingMs).Median());
}
