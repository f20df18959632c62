using System.Text.Json.Serialization;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Targets;
using MathNet.Numerics.Statistics;

namespace Koala.Lab.Decoding.Cost;

/// <summary>
/// What rounds cost on this device. It is measured apart from answers and whatever is accepted, so it also holds for a head that was never
/// trained.
/// </summary>
/// <param name="BaselineMs">The median milliseconds of a baseline round, which is a step of one token per sequence.</param>
/// <param name="Trees">The rounds with a draft, in ascending order of the number of candidates.</param>
public sealed record StepCost(
    [property: JsonPropertyName("aloneMs")] double BaselineMs, [property: JsonPropertyName("shapes")] IReadOnlyList<TreeCost> Trees)
{
    private const int FewestWarmUps = 2;
    private const int FewestRounds = 3;
    private const int MostRounds = 40;

    // .NET compiles the code for each number of candidates while it runs for the first time.
    private const double WarmUpShare = 0.3;

    // A round is slower after one of another kind than after its like, which it follows in an answer: a tenth on koala-mini. Beside rounds
    // that are longer than this the difference is too small to pay for.
    private const double ShortRoundMs = 5;

    /// <summary>How busy the machine was during the measurement; null for costs that were not measured here.</summary>
    internal MachineLoad? Load { get; init; }

    /// <summary>The median time of a turn over all rounds, divided by the time that a quarter of the turns undercut.</summary>
    internal double Spread { get; init; } = 1;

    /// <summary>
    /// The milliseconds of a round with a number of candidates. Between two measured numbers, and beyond the largest, the cost is linear;
    /// beyond the largest it does not fall.
    /// </summary>
    public double RoundMs(int nodes) => At(nodes, tree => tree.RoundMs, BaselineMs);

    /// <summary>
    /// What a round with a tree would cost if drafting took as long as for the chain of its depth, and the rest as long as for the chain
    /// of its size.
    /// </summary>
    /// <param name="tree">The tree; these costs are those of chains.</param>
    internal double EstimateMs(DraftTree tree) =>
        At(tree.Depth, chain => chain.DraftMs, 0) + At(tree.Nodes, chain => chain.VerifyMs + chain.BookkeepingMs, BaselineMs);

    // A part of the cost of a round with a number of candidates.
    private double At(int nodes, Func<TreeCost, double> part, double ofBaseline)
    {
        var drafted = Trees.Where(tree => tree.Nodes > 0).DistinctBy(tree => tree.Nodes);
        // A chain that was cut at once has still cost its first level.
        var cutAtOnce = Trees.FirstOrDefault(tree => tree is { Nodes: 0, Tree: ChainTree { Cut: not null } });
        (int Nodes, double Ms)[] points =
            [(0, cutAtOnce is null ? ofBaseline : part(cutAtOnce)), .. drafted.Select(tree => (tree.Nodes, part(tree)))];
        if (points.FirstOrDefault(point => point.Nodes == nodes, (-1, 0)) is (>= 0, var ms)) return ms;
        if (points.Length == 1) throw new ArgumentOutOfRangeException(nameof(nodes), nodes, "no round with a draft was measured");
        var above = Array.FindIndex(points, point => point.Nodes > nodes);
        // A dynamic tree may have more candidates in an answer than it had in the measurement.
        if (above < 0) above = points.Length - 1;
        var ((low, lowMs), (high, highMs)) = (points[above - 1], points[above]);
        var onLine = lowMs + (highMs - lowMs) * (nodes - low) / (high - low);
        return nodes > high ? Math.Max(highMs, onLine) : onLine;
    }

    /// <summary>The acceptance length at which rounds are as fast as the baseline. NaN without rounds.</summary>
    /// <param name="drafted">The number of candidates of each round.</param>
    public double BreakEven(IReadOnlyList<int> drafted) => drafted.Count == 0 ? double.NaN : BreakEven(drafted.Average(RoundMs));

    // A round contains a baseline round and commits at least one token, so a figure below 1 is error of measurement.
    internal double BreakEven(double roundMs) => Math.Max(1, roundMs / BaselineMs);

    /// <summary>
    /// Some of the chains up to a length, from which the cost of all follows. With the root they make 2, 3, 4, 6, 8, 12, ... tokens; the
    /// longest is always among them.
    /// </summary>
    public static IReadOnlyList<DraftTree> Chains(int longest)
    {
        var roundLengths = Enumerable.Range(1, 29).SelectMany(power => (int[])[(1 << power) - 1, 3 * (1 << power) / 2 - 1]);
        var lengths = roundLengths.TakeWhile(length => length < longest).Append(longest).Where(length => length > 0);
        return [.. lengths.Select(length => new ChainTree(length))];
    }

    // A chain that is cut costs one level more than it has tokens, and takes them one by one. So the chains that are timed are those that
    // are cut at each length, from none at all.
    private static IReadOnlyList<DraftTree> ChainsLike(ChainTree longest) => longest.Cut is not { } cut
        ? Chains(longest.Length)
        : [.. Chains(longest.Length).Select(chain => chain.Depth).Prepend(0)
            .Select(length => longest with { Cut = cut with { At = length } })];

    /// <summary>
    /// The trees to measure for the cost of rounds that draft a tree: for a chain, shorter chains too; otherwise only the tree.
    /// </summary>
    internal static IReadOnlyList<DraftTree> TreesUpTo(DraftTree tree) => tree is ChainTree chain ? ChainsLike(chain) : [tree];

    /// <summary>
    /// Measures baseline rounds and rounds with each tree alternately, so that other work on the machine affects all of them alike.
    /// </summary>
    /// <param name="target">The target.</param>
    /// <param name="source">The draft source.</param>
    /// <param name="trees">The trees, none of them deeper than the source can draft.</param>
    /// <param name="options">How tokens are chosen. Null means greedy.</param>
    /// <param name="batch">The number of sequences in a batch. Default 1.</param>
    /// <param name="budget">
    /// The time after which no further turn begins; at least three turns are made. The first part of it warms up. Null means one second.
    /// </param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static StepCost Measure(Target target, IDraftSource source, IReadOnlyList<DraftTree> trees, GenerationOptions? options = null,
        int batch = 1, TimeSpan? budget = null, CancellationToken cancel = default)
    {
        var mostNodes = trees.Select(tree => tree.Nodes).Append(0).Max();
        using var rounds = new RoundBenchmark(target, source, options ?? new GenerationOptions(), batch, mostNodes);
        cancel = CellInterrupt.Or(cancel);
        var limit = budget ?? TimeSpan.FromSeconds(1);
        var start = TimeProvider.System.GetTimestamp();
        for (var turn = 0; turn < FewestWarmUps || Elapsed() < WarmUpShare * limit; turn++) Turn();

        var before = ProcessorTimes.Read();
        var turns = new List<TreeCost[]>();
        while (turns.Count < FewestRounds || (turns.Count < MostRounds && Elapsed() < limit)) turns.Add(Turn());
        var load = MachineLoad.Between(before, ProcessorTimes.Read());

        var medians = Enumerable.Range(0, trees.Count + 1).Select(i => MedianOf([.. turns.Select(turn => turn[i])])).ToArray();
        var durations = turns.Select(turn => turn.Sum(cost => cost.RoundMs)).ToArray();
        return new StepCost(turns.Select(turn => turn[0].RoundMs).Median(), [.. medians[1..].OrderBy(cost => cost.Nodes)])
        {
            Load = load,
            Spread = durations.Median() / durations.LowerQuartile(),
        };

        // The baseline round first.
        TreeCost[] Turn() => [Settled(rounds.Baseline), .. trees.Select(tree => Settled(() => rounds.With(tree)))];

        TreeCost Settled(Func<TreeCost> round)
        {
            cancel.ThrowIfCancellationRequested();
            var cost = round();
            return cost.RoundMs > ShortRoundMs ? cost : round();
        }

        TimeSpan Elapsed() => TimeProvider.System.GetElapsedTime(start);
    }

    private static TreeCost MedianOf(TreeCost[] costs) => new(costs[0].Tree, costs.Max(c => c.Nodes),
        costs.Select(c => c.DraftMs).Median(), costs.Select(c => c.VerifyMs).Median(), costs.Select(c => c.BookkeepingMs).Median());
}
