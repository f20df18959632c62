using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Decoding.Cost;

/// <summary>
/// Tries a few dynamic trees against the best chain, on the prompts that chose it. A tree is timed and tried only if it could be the
/// fastest; those that promise most come first.
/// </summary>
/// <param name="source">The draft source.</param>
/// <param name="answered">The prompts, and the rounds with the longest chains; at least one round.</param>
/// <param name="best">The best chain.</param>
/// <param name="chains">The cost of chains.</param>
internal sealed class TreeTrials(IDraftSource source, IReadOnlyList<AnsweredGroup> answered, DraftLengthChoice best, StepCost chains)
{
    // The most that branches are expected to add to the acceptance length of the chain of the same depth, as a factor: trees of 59
    // candidates had up to 1.4 times as much (docs/results/h100, held-out).
    private const double MostGain = 1.5;

    // With fewer levels a tree is a chain with a few siblings.
    private const int FewestLevels = 3;

    private readonly DynamicTree[] _trees = source.MaxDraftLength < FewestLevels ? []
        : [.. Shapes.Select(tree => tree with { Levels = Math.Min(tree.Depth, source.MaxDraftLength) })];

    /// <summary>The trees, from small to large.</summary>
    public static IReadOnlyList<DynamicTree> Shapes { get; } =
    [
        new() { Tokens = 8, Levels = 4, TopK = 2 },
        new() { Tokens = 12, Levels = 4, TopK = 3 },
        new() { Tokens = 24, Levels = 5, TopK = 4 },
    ];

    /// <summary>The trees that could be the fastest, by what chains cost: drafting to their depth, verifying as many candidates.</summary>
    public IReadOnlyList<DraftTree> Hopeful() =>
        [.. _trees.Where(tree => MostSpeedup(tree, chains.EstimateMs(tree), chains) > best.Speedup)];

    /// <summary>Tries the hopeful trees, the most promising ones first, until none of those that are left could be the fastest.</summary>
    /// <param name="decoder">A decoder with the draft source.</param>
    /// <param name="cost">The cost of the hopeful trees.</param>
    /// <param name="options">How answers are generated.</param>
    /// <param name="fewest">The fewest batches of prompts on which a tree is tried, or all where there are fewer.</param>
    /// <param name="budget">The time after which no further batch of prompts is answered.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <returns>The best chain or tree.</returns>
    public DraftLengthChoice Run(SpeculativeDecoder decoder, StepCost cost, GenerationOptions options, int fewest, TimeSpan budget,
        CancellationToken cancel)
    {
        var start = TimeProvider.System.GetTimestamp();
        var (choice, tried) = (best, new Dictionary<DraftTree, DraftCandidate>());
        var timed = cost.Trees.ToDictionary(tree => tree.Tree, tree => tree.RoundMs);
        foreach (var (tree, roundMs) in timed.OrderByDescending(tree => MostSpeedup(tree.Key, tree.Value, cost)))
        {
            var outOfTime = tried.Count > 0 && TimeProvider.System.GetElapsedTime(start) > budget;
            if (outOfTime || MostSpeedup(tree, roundMs, cost) <= choice.Speedup) break;
            tried[tree] = Try(tree);
            if (tried[tree].Speedup > choice.Speedup) choice = new DraftLengthChoice(tree.Depth, tried[tree].Speedup) { Tree = tree };
        }
        return choice with { Candidates = [.. best.Candidates, .. _trees.Select(OfTree)] };

        DraftCandidate OfTree(DraftTree tree) => tried.GetValueOrDefault(tree)
            ?? new DraftCandidate(tree, double.NaN, timed.GetValueOrDefault(tree, double.NaN), double.NaN);

        // Compared with the best chain on the same prompts, so that it does not matter which prompts there was time for.
        DraftCandidate Try(DraftTree tree)
        {
            var (rounds, ofChain) = (new List<Round>(), new List<Round>());
            for (var i = 0; i < answered.Count && (i < fewest || TimeProvider.System.GetElapsedTime(start) < budget); i++)
            {
                var answers = decoder.GenerateAll(answered[i].Prompts, options with { DraftLength = null, Tree = tree }, cancel: cancel);
                rounds.AddRange(answers.SelectMany(answer => answer.Rounds));
                ofChain.AddRange(answered[i].Rounds);
            }
            if (rounds.Count == 0 || ofChain.Count == 0) return new DraftCandidate(tree, double.NaN, timed[tree], double.NaN);
            var tokens = rounds.Average(round => 1.0 + round.Accepted);
            var milliseconds = rounds.Average(round => cost.RoundMs(round.Drafted));
            var chain = DraftCandidate.OfChain(best.Length, chains, ofChain);
            return new DraftCandidate(tree, tokens, milliseconds, tokens * cost.BaselineMs / milliseconds * best.Speedup / chain.Speedup);
        }
    }

    // The speedup with as many accepted tokens as can be hoped for.
    private double MostSpeedup(DraftTree tree, double roundMs, StepCost cost)
    {
        var chain = answered.SelectMany(group => group.Rounds).Average(round => 1.0 + Math.Min(round.Accepted, tree.Depth));
        return Math.Min(tree.Depth + 1, MostGain * chain) * cost.BaselineMs / roundMs;
    }
}
